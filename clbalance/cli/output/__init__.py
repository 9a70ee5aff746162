"""The output files of jobs: written while they run, completed afterwards (docs/design/job_output.md)."""
