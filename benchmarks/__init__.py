"""One file per question; each answers with bars that hold or fall short. See `docs/performance.md`."""
