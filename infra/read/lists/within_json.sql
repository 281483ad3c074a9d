-- Whether a list in the job's JSON has the item, or an object in it the key (AIP-160, "has").
(EXISTS (
    SELECT FROM json_array_elements_text(CASE json_typeof({value}) WHEN 'array' THEN {value} ELSE '[]' END) AS item
    WHERE item LIKE {pattern}
) OR json_typeof({value}) = 'object' AND ({value} -> {key}::text) IS NOT NULL)
