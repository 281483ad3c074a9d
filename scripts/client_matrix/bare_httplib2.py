"""httplib2 by itself, as google-api-python-client uses it without google-auth; this server asks for a token."""

import json

import httplib2
from calls import Calls

calls = Calls()
http = httplib2.Http()
list_url = f"{calls.url}/v1/{calls.parent}/jobs"
with calls("GET without a token"):
    answer, body = http.request(list_url)
    assert (answer.status, json.loads(body)["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert answer["www-authenticate"].startswith("Bearer realm=")
with calls("GET with an unknown token"):
    answer, _ = http.request(list_url, headers={"Authorization": "Bearer no"})
    assert answer.status == 401
with calls("POST without a token"):
    json_type = {"Content-Type": "application/json"}
    answer, _ = http.request(list_url, "POST", body="{}", headers=json_type)
    assert answer.status == 401, answer
with calls("HEAD of the health check"):
    answer, _ = http.request(f"{calls.url}/healthz", "HEAD")
    assert answer.status in {200, 405}
calls.print(httplib2.__version__)
