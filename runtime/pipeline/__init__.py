"""Source → segmenter → sinks: threads, queues, frames in flight, statistics."""
