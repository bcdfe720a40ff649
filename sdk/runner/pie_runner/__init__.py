"""What the runner guest does around a program: options, output, tracebacks, notes about loops."""
