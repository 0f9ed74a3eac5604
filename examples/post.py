"""post.py URL BODY: what curl -sNd BODY -H 'Content-Type: application/json' URL prints."""

import sys
import urllib.error
import urllib.request

request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(),
                                 {"Content-Type": "application/json"})
try:
    with urllib.request.urlopen(request, timeout=60) as answer:
        for line in answer:
            sys.stdout.write(line.decode())
            sys.stdout.flush()
except urllib.error.HTTPError as error:
    sys.stdout.write(error.read().decode())
