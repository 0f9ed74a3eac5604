"""Says what became of each URL that it is given."""
import sys
import urllib.request

for url in sys.argv[1:]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            print(f"{url}: {len(answer.read())} bytes")
    except OSError as error:
        print(f"{url}: {error}")
