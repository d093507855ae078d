#!/bin/sh
# A folder with one password a file and users.acl come in, a running server with those users goes out. Prints no password.
#   MOMO_REDIS_PASSWORDS  folder with the files admin, producer, consumer, worker, pump, monitor (default: /run/secrets)
# Further arguments go to the server: sh start.sh --port 6380
set -eu
umask 077

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
passwords=${MOMO_REDIS_PASSWORDS:-/run/secrets}
acl=$(mktemp -d)/users.acl
cp "$here/users.acl" "$acl"

for role in admin producer consumer worker pump monitor; do
    if [ ! -s "$passwords/$role" ]; then
        echo "start.sh: $passwords/$role is missing or empty; write a random password into it: openssl rand -hex 32" >&2
        exit 1
    fi
    # The server wants the hash of the password itself, without the line end that editors add.
    hash=$(tr -d '\r\n' < "$passwords/$role" | sha256sum | cut -d ' ' -f 1)
    sed "s/#@$role@/#$hash/" "$acl" > "$acl.next"
    mv "$acl.next" "$acl"
done

server=$(command -v valkey-server || command -v redis-server)
exec "$server" "$here/redis.conf" --aclfile "$acl" "$@"
