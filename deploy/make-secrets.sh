#!/bin/sh
# Nothing comes in, the folder secrets/ beside this script goes out: one random password a file, and the URLs made of them.
# Leaves what is there as it is, so that it can be run again. Prints names and no values.
#   sh make-secrets.sh [FOLDER]
set -eu
umask 077

folder=${1:-$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/secrets}
mkdir -p "$folder"
chmod 700 "$folder"
printf '*\n' > "$folder/.gitignore"

keep() { # NAME VALUE
    [ -s "$folder/$1" ] && return 0
    printf '%s\n' "$2" > "$folder/$1"
    # The folder is closed to others; inside a container another user than you reads the mounted file.
    chmod 444 "$folder/$1"
    echo "made $folder/$1"
}

random() { od -An -N 32 -tx1 /dev/urandom | tr -d ' \n'; }

for name in redis_admin redis_producer redis_consumer redis_worker redis_pump redis_monitor postgres; do
    keep "$name" "$(random)"
done
keep database_url "postgresql://momo:$(cat "$folder/postgres")@postgres:5432/momo"
keep redis_url_worker "redis://worker:$(cat "$folder/redis_worker")@redis:6379/0"
keep redis_url_pump "redis://pump:$(cat "$folder/redis_pump")@redis:6379/0"
