"""The supervisor and the processes of a job."""
