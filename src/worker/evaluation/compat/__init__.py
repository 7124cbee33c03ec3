"""What the evaluation specification shows as `common.*`. The doors under `workers/common` re-export it."""
