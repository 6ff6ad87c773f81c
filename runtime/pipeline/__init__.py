"""The pipeline source → segmenter → sinks: threads, queues, frames in flight, statistics."""
