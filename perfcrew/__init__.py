"""perfcrew: a crew of LLM agents that finds and fixes performance bottlenecks, and proves it."""
