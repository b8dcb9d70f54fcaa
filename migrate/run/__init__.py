"""One run: read, decide, record, deliver, report. The only room that knows every step; `job` is the path in one function."""
