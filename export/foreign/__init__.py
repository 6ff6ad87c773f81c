"""Networks of other tools: what their graphs take and give, and how they become graphs like ours."""
