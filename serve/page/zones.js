"use strict"
// Zones: named polygons over the image, in fractions of it, as `seg-edge run --zones FILE` reads them. A pixel belongs to a
// zone if its centre lies inside (even-odd rule); polygons of one name are one zone.
const MOST_ZONES = 64, STEP = 0.01, FAST = 5
const zones = { made: [], drawn: null, cursor: [0.5, 0.5], pixels: new Map(), of: "" }

const svg = (name, attributes) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  return element
}
const bounded = value => Math.min(1, Math.max(0, value))
const rounded = value => Math.round(1e4 * value) / 1e4

// --- drawing

function startZone() {
  const name = $("zone-name").value.trim()
  if (!state.mask) return say("Choose an image or start the camera first.", true)
  if (!name) {
    $("zone-name").focus()
    return say("A zone needs a name.", true)
  }
  const names = new Set(zones.made.map(zone => zone.name))
  if (!names.has(name) && names.size >= MOST_ZONES) return say(`At most ${MOST_ZONES} zones.`, true)
  zones.drawn = { name, polygon: [] }
  zones.cursor = [0.5, 0.5]
  showZones()
  $("zones").focus()
  say("Click or tap the corners. Keys: arrows move, Enter sets a corner, Backspace takes it back, Escape stops, F finishes.")
}

function addCorner(x, y) {
  if (!zones.drawn) return
  zones.drawn.polygon.push([rounded(bounded(x)), rounded(bounded(y))])
  showZones()
}

function finishZone() {
  if (!zones.drawn) return
  if (zones.drawn.polygon.length < 3) return say(`A zone has three corners or more; this one has ${zones.drawn.polygon.length}.`, true)
  zones.made.push(zones.drawn)
  say(`Zone ${zones.drawn.name}: ${zones.drawn.polygon.length} corners.`)
  endDrawing()
}

function endDrawing() {
  zones.drawn = null
  zones.of = ""
  showZones()
  countZones()
  $("zone-draw").focus()
}

function showZones() {
  const drawing = zones.drawn !== null, view = $("zones")
  const { width, height } = state.mask || { width: 1, height: 1 }
  view.setAttribute("viewBox", `0 0 ${width} ${height}`)
  view.classList.toggle("drawing", drawing)
  const points = polygon => polygon.map(([x, y]) => `${x * width},${y * height}`).join(" ")
  const size = Math.max(width, height) / 120
  view.replaceChildren(...zones.made.map(zone => svg("polygon", { points: points(zone.polygon) })))
  if (drawing) {
    view.append(svg("polyline", { points: points(zones.drawn.polygon) }))
    for (const [x, y] of zones.drawn.polygon) view.append(svg("circle", { cx: x * width, cy: y * height, r: size }))
    const [x, y] = [zones.cursor[0] * width, zones.cursor[1] * height]
    view.append(svg("path", { d: `M${x - 2 * size} ${y}h${4 * size}M${x} ${y - 2 * size}v${4 * size}`, class: "cursor" }))
  }
  $("zone-draw").textContent = drawing ? "Finish the zone" : "Draw a zone"
  $("zone-save").disabled = zones.made.length === 0
  const names = [...new Set(zones.made.map(zone => zone.name))]
  $("zone-list").replaceChildren(...names.map(name => {
    const item = document.createElement("li"), title = document.createElement("b"), shares = document.createElement("output")
    const remove = document.createElement("button")
    title.textContent = name
    shares.dataset.zone = name
    remove.type = "button"
    remove.textContent = "Remove"
    remove.setAttribute("aria-label", `Remove zone ${name}`)
    remove.addEventListener("click", () => {
      zones.made = zones.made.filter(zone => zone.name !== name)
      endDrawing()
    })
    item.append(title, remove, shares)
    return item
  }))
}

// --- counting

// Places in the mask of the pixels whose centres lie in one of the polygons: along each row of centres, the crossings
// in order, every second gap between them.
function placesOf(polygons, width, height) {
  const inside = new Uint8Array(width * height)
  for (const polygon of polygons) {
    for (let row = 0; row < height; row++) {
      const y = row + 0.5, crossings = []
      polygon.forEach(([ax, ay], i) => {
        const [bx, by] = polygon[(i + 1) % polygon.length]
        const [x0, y0, x1, y1] = [ax * width, ay * height, bx * width, by * height]
        if ((y0 <= y) !== (y1 <= y)) crossings.push(x0 + (y - y0) * (x1 - x0) / (y1 - y0))
      })
      crossings.sort((a, b) => a - b)
      for (let i = 0; i + 1 < crossings.length; i += 2) {
        const first = Math.max(0, Math.ceil(crossings[i] - 0.5)), end = Math.min(width, Math.ceil(crossings[i + 1] - 0.5))
        if (first < end) inside.fill(1, row * width + first, row * width + end)
      }
    }
  }
  return Uint32Array.from(function* () { for (let i = 0; i < inside.length; i++) if (inside[i]) yield i }())
}

function countZones() {
  if (!state.mask || !zones.made.length) return
  const { width, height, data } = state.mask
  if (zones.of !== `${width}x${height}`) {
    const grouped = Map.groupBy(zones.made, zone => zone.name)
    zones.pixels = new Map([...grouped].map(([name, same]) => [name, placesOf(same.map(zone => zone.polygon), width, height)]))
    zones.of = `${width}x${height}`
    showZones()
  }
  for (const output of $("zone-list").querySelectorAll("output")) {
    const places = zones.pixels.get(output.dataset.zone), counts = new Uint32Array(256)
    for (const place of places) counts[data[4 * place]]++
    const found = state.model.classes.filter(one => counts[one.id]).sort((a, b) => counts[b.id] - counts[a.id]).slice(0, 3)
    const texts = found.map(one => `${one.name} ${(100 * counts[one.id] / places.length).toFixed(1)} %`)
    output.textContent = texts.join(", ") || "no pixel"
  }
}

// --- files

function saveZones() {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(new Blob([JSON.stringify({ zones: zones.made }, null, 1) + "\n"], { type: "application/json" }))
  link.download = "zones.json"
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 1000)
  say("Saved: seg-edge run --zones zones.json")
}

async function loadZones(file) {
  try {
    const found = JSON.parse(await file.text()), [height, width] = found.size || [1, 1]
    const read = found.zones.map(({ name, polygon }) => ({ name: String(name), polygon: polygon.map(([x, y]) => [x / width, y / height]) }))
    const flat = read.flatMap(zone => zone.polygon.flat())
    if (!found.size && flat.some(value => value > 1)) throw new Error("pixels without a size")
    if (read.some(zone => zone.polygon.length < 3) || flat.some(value => !Number.isFinite(value))) throw new Error("no polygons")
    zones.made = read
    endDrawing()
    say(`${file.name}: ${new Set(read.map(zone => zone.name)).size} zones.`)
  } catch (error) {
    say(`${file.name} holds no zones as this page saves them (${error.message}).`, true)
  }
}

// --- events

$("zone-draw").addEventListener("click", () => zones.drawn ? finishZone() : startZone())
$("zone-name").addEventListener("keydown", event => { if (event.key === "Enter") startZone() })
$("zone-save").addEventListener("click", saveZones)
$("zone-file").addEventListener("change", () => { if ($("zone-file").files[0]) loadZones($("zone-file").files[0]); $("zone-file").value = "" })
$("zone-load").addEventListener("click", () => $("zone-file").click())
$("zones").addEventListener("click", event => {
  const { left, top, width, height } = $("zones").getBoundingClientRect()
  addCorner((event.clientX - left) / width, (event.clientY - top) / height)
})
$("zones").addEventListener("keydown", event => {
  if (!zones.drawn) return
  const step = event.shiftKey ? FAST * STEP : STEP
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }
  if (event.key in moves) zones.cursor = zones.cursor.map((value, axis) => bounded(value + moves[event.key][axis]))
  else if (event.key === "Enter") return addCorner(...zones.cursor), event.preventDefault()
  else if (event.key === "Backspace") zones.drawn.polygon.pop()
  else if (event.key === "Escape") return endDrawing()
  else if (event.key === "f" || event.key === "F") return finishZone()
  else return
  event.preventDefault()
  showZones()
})
