"""The history of jobs as a subject: diff, blame, bisect, explanation, replay, timeline."""
