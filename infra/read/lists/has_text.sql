-- Whether an event may give its job a text: in the name, a message or the display name.
(e.schema > 0 AND (
    (e.version = 1 AND strpos(e.name, {text}) > 0)
    OR (e.type IN ('Failed', 'Cancelling', 'Cancelled', 'Expired', 'Created', 'Updated', 'ConfigChanged')
        AND position({bytes}::bytea IN e.data) > 0)
))
