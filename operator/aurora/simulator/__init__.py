"""A simulated fleet of LLM servers, and controllers compared on it in simulated time."""
