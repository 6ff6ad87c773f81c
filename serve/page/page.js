"use strict"
// An image is sent to /v1/segment and a camera's frames to /v1/stream. Both answer with a PNG of class numbers, which is
// coloured here: opacity and classes change without asking again.
const $ = id => document.getElementById(id)
const MOST_IN_FLIGHT = 2
const state = { models: [], model: null, token: "", shown: new Set(), mask: null, camera: null, busy: false }

function say(text, error = false) {
  $("status").textContent = text
  $("status").classList.toggle("error", error)
}

const authorized = (headers = {}) => state.token ? { ...headers, Authorization: `Bearer ${state.token}` } : headers

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: authorized(options.headers) })
  if (answer.ok) return answer
  if (answer.status === 401) $("secret").hidden = false
  const about = await answer.json().catch(() => ({}))
  const error = new Error(about.error || `the service answers ${answer.status}`)
  error.code = about.code
  throw error
}

// --- models and classes

async function begin() {
  try {
    await loadModels()
  } catch (error) {
    say(error.message, true)
    if (error.code === "starting") setTimeout(begin, 1000)
  }
}

async function loadModels() {
  const found = await (await ask("v1/models")).json()
  state.models = found.models
  $("model").replaceChildren(...found.models.map(model => new Option(model.name)))
  chooseModel(found.default)
  showRuns()
  say(`${state.model.network}, ${state.model.precision}, ${state.model.engine} on ${state.model.device}`)
}

async function showRuns() {
  const { runs } = await (await ask("v1/runs")).json()
  $("runs").hidden = runs.length === 0
  $("run-list").replaceChildren(...runs.map(run => {
    const item = document.createElement("li"), link = document.createElement("a")
    link.href = `v1/runs/${run.name}/`
    link.textContent = run.name
    item.append(link, ` ${run.source}: ${run.state}`)
    return item
  }))
}

function chooseModel(name) {
  state.model = state.models.find(model => model.name === name)
  $("model").value = name
  state.shown = new Set(state.model.classes.map(one => one.id))
  $("classes").replaceChildren(...state.model.classes.map(one => {
    const item = document.createElement("li"), label = document.createElement("label")
    const box = document.createElement("input"), colour = document.createElement("i"), share = document.createElement("output")
    box.type = "checkbox"
    box.checked = true
    box.addEventListener("change", () => {
      box.checked ? state.shown.add(one.id) : state.shown.delete(one.id)
      paint()
    })
    colour.style.background = `rgb(${one.color_rgb})`
    share.id = `share-${one.id}`
    share.textContent = "–"
    label.append(box, colour, one.name, share)
    item.append(label)
    return item
  }))
  writeCurl()
}

function show(all) {
  state.shown = new Set(all ? state.model.classes.map(one => one.id) : [])
  for (const box of $("classes").querySelectorAll("input")) box.checked = all
  paint()
}

// --- the mask

async function readMask(png) {
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" }
  const bitmap = await createImageBitmap(png, options)
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height)
  const context = canvas.getContext("2d", { willReadFrequently: true })
  context.drawImage(bitmap, 0, 0)
  const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height)
  bitmap.close()
  return pixels
}

function paint() {
  writeCurl()
  if (!state.mask) return
  const { width, height, data } = state.mask
  const palette = new Uint32Array(256), counts = new Uint32Array(256)
  for (const one of state.model.classes) {
    const [r, g, b] = one.color_rgb
    if (state.shown.has(one.id)) palette[one.id] = (0xff000000 | b << 16 | g << 8 | r) >>> 0
  }
  const painted = new ImageData(width, height), out = new Uint32Array(painted.data.buffer)
  for (let i = 0; i < out.length; i++) {
    const number = data[4 * i]
    out[i] = palette[number]
    counts[number]++
  }
  const overlay = $("overlay")
  overlay.width = width
  overlay.height = height
  overlay.getContext("2d").putImageData(painted, 0, 0)
  overlay.style.opacity = $("alpha").value
  for (const one of state.model.classes)
    $(`share-${one.id}`).textContent = `${(100 * counts[one.id] / out.length).toFixed(1)} %`
  countZones()
}

function showImage(source, width, height) {
  const canvas = $("image")
  canvas.width = width
  canvas.height = height
  canvas.getContext("2d").drawImage(source, 0, 0, width, height)
  $("view").hidden = false
  $("hint").hidden = true
  $("stage").classList.add("filled")
}

// --- one image

async function segment(file) {
  await stopCamera()
  state.busy = true
  say(`${file.name || "image"}…`)
  try {
    const begun = performance.now()
    const answer = await ask(`v1/segment/${state.model.name}`, {
      method: "POST", body: file, headers: { "Content-Type": file.type || "application/octet-stream", Accept: "image/png" },
    })
    const png = await answer.blob()
    const ms = performance.now() - begun
    state.mask = await readMask(png)
    // The browser may not know the format (TIFF): then the classes are shown without the image.
    const bitmap = await createImageBitmap(file).catch(() => null)
    const blank = new OffscreenCanvas(1, 1)
    blank.getContext("2d")
    showImage(bitmap || blank, state.mask.width, state.mask.height)
    paint()
    $("latency").textContent = `${ms.toFixed(0)} ms`
    $("service").textContent = stages(answer.headers.get("Server-Timing"))
    $("fps").textContent = "–"
    say(`${file.name || "image"}: ${state.mask.width} × ${state.mask.height}`)
  } catch (error) {
    say(error.message, true)
  } finally {
    state.busy = false
  }
}

function stages(header) {
  const times = [...(header || "").matchAll(/(\w+);dur=([\d.]+)/g)].map(([, , ms]) => Number(ms))
  return times.length ? `${times.reduce((a, b) => a + b, 0).toFixed(1)} ms` : "–"
}

// --- the camera

async function startCamera() {
  if (!navigator.mediaDevices) throw new Error("The browser gives a camera to https:// and localhost only.")
  const media = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } })
  const video = document.createElement("video")
  video.muted = video.playsInline = true
  video.srcObject = media
  await video.play()
  const address = new URL(`v1/stream/${state.model.name}`, location.href)
  address.protocol = address.protocol.replace("http", "ws")
  const socket = new WebSocket(address, state.token ? ["seg-edge", `bearer.${state.token}`] : ["seg-edge"])
  socket.binaryType = "blob"
  const camera = { media, video, socket, sent: 0, frames: new Map(), answered: [], about: null, running: true }
  state.camera = camera
  $("camera").textContent = "Stop the camera"
  socket.onmessage = event => take(camera, event.data)
  socket.onopen = () => { say("Live."); sendFrame(camera) }
  socket.onclose = event => {
    if (camera.running) stopCamera().then(() => say(`The stream ended (${event.code}).`, true))
  }
}

async function sendFrame(camera) {
  if (!camera.running || camera.sending || camera.frames.size >= MOST_IN_FLIGHT) return
  camera.sending = true
  const { videoWidth: width, videoHeight: height } = camera.video
  const canvas = new OffscreenCanvas(width, height)
  canvas.getContext("2d").drawImage(camera.video, 0, 0)
  const jpeg = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.85 })
  camera.sending = false
  if (!camera.running || camera.socket.readyState !== WebSocket.OPEN) return
  camera.frames.set(camera.sent++, { canvas, at: performance.now() })
  camera.socket.send(jpeg)
  requestAnimationFrame(() => sendFrame(camera))
}

async function take(camera, data) {
  if (typeof data === "string") {
    camera.about = JSON.parse(data)
    if (camera.about.error) {
      say(camera.about.error, true)
      forget(camera, camera.about.frame)
      sendFrame(camera)
    }
    return
  }
  const about = camera.about, frame = camera.frames.get(about.frame)
  const mask = await readMask(data)
  forget(camera, about.frame)
  if (!camera.running) return
  if (frame) {
    state.mask = mask
    showImage(frame.canvas, mask.width, mask.height)
    paint()
    const now = performance.now()
    camera.answered = [...camera.answered.filter(at => now - at < 2000), now]
    const first = camera.answered[0]
    if (now > first) $("fps").textContent = (1000 * (camera.answered.length - 1) / (now - first)).toFixed(1)
    $("latency").textContent = `${(now - frame.at).toFixed(0)} ms`
    $("service").textContent = `${Object.values(about.timings_ms).reduce((a, b) => a + b, 0).toFixed(1)} ms`
  }
  sendFrame(camera)
}

function forget(camera, number) {
  for (const key of camera.frames.keys()) if (key <= number) camera.frames.delete(key)
}

async function stopCamera() {
  const camera = state.camera
  if (!camera) return
  state.camera = null
  camera.running = false
  camera.socket.close()
  for (const track of camera.media.getTracks()) track.stop()
  $("camera").textContent = "Start the camera"
  $("fps").textContent = "–"
}

// --- the line for a shell

function writeCurl() {
  if (!state.model) return
  const names = state.model.classes.filter(one => state.shown.has(one.id)).map(one => one.name)
  const query = new URLSearchParams({ format: "overlay", alpha: $("alpha").value })
  if (names.length && names.length < state.model.classes.length) query.set("classes", names.join(","))
  const token = state.token || !$("secret").hidden ? " -H \"Authorization: Bearer $TOKEN\"" : ""
  const address = new URL(`v1/segment/${state.model.name}?${query}`, location.href)
  $("curl").textContent = `curl --data-binary @image.jpg -H 'Content-Type: image/jpeg'${token} -o overlay.jpg '${address}'`
}

// --- events

$("file").addEventListener("change", () => { if ($("file").files[0]) segment($("file").files[0]); $("file").value = "" })
$("file").addEventListener("focus", () => $("choose").classList.add("focus"))
$("file").addEventListener("blur", () => $("choose").classList.remove("focus"))
$("camera").addEventListener("click", () => {
  if (state.camera) stopCamera().then(() => say("Stopped."))
  else startCamera().catch(error => { stopCamera(); say(`No camera: ${error.message}`, true) })
})
$("model").addEventListener("change", async () => {
  await stopCamera()
  state.mask = null
  chooseModel($("model").value)
})
$("alpha").addEventListener("input", () => {
  $("alpha-value").textContent = `${Math.round(100 * $("alpha").value)} %`
  $("overlay").style.opacity = $("alpha").value
  writeCurl()
})
$("all").addEventListener("click", () => show(true))
$("none").addEventListener("click", () => show(false))
$("copy").addEventListener("click", () => navigator.clipboard.writeText($("curl").textContent).then(() => say("Copied.")))
$("token-form").addEventListener("submit", event => {
  event.preventDefault()
  state.token = $("token").value.trim()
  loadModels().then(() => { $("secret").hidden = true }).catch(error => say(error.message, true))
})
addEventListener("paste", event => {
  const file = [...(event.clipboardData?.files || [])].find(one => one.type.startsWith("image/"))
  if (file && state.model) segment(file)
})
for (const kind of ["dragover", "dragleave", "drop"]) addEventListener(kind, event => {
  event.preventDefault()
  $("stage").classList.toggle("over", kind === "dragover")
  if (kind === "drop" && event.dataTransfer.files[0] && state.model) segment(event.dataTransfer.files[0])
})
begin()
