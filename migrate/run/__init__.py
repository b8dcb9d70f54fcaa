"""One run: read, decide, record, deliver, report. This is the only room that knows every step; `job.go_on` takes them in order."""
