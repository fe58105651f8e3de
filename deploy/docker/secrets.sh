#!/bin/sh
# Creates what compose.yaml expects in deploy/docker/secrets, and leaves alone what is there already. From the root of
# the checkout: sh deploy/docker/secrets.sh
#
# Compose mounts each file with the mode that it has here, into containers that run as different accounts, so each file
# can be read by all. The folder is what protects them: only its owner can enter it. Neither depends on the umask.
set -eu
folder="${1:-deploy/docker/secrets}"
flask="${FLASK:-.venv/bin/flask}"

umask 077
mkdir -p "$folder"
chmod 700 "$folder"

# Writes standard input to a file that is not there yet; a command that failed leaves none.
store() {
    cat > "$folder/$1.new"
    [ -s "$folder/$1.new" ] || { echo "$1 could not be made." >&2; rm -f "$folder/$1.new"; exit 1; }
    mv "$folder/$1.new" "$folder/$1"
}
missing() { [ ! -s "$folder/$1" ]; }

for role in postgres owner authapp audit; do
    if missing "$role-password"; then
        head -c 24 /dev/urandom | base64 | tr '+/' '-_' | store "$role-password"
    fi
done
# Migrations and the pruning of audit events go past the pooler: it knows one role alone.
for address in owner=authapp_owner@postgres:5432 authapp=authapp@pgbouncer:6432 audit=authapp_audit@postgres:5432; do
    role="${address%%=*}" account="${address#*=}"
    if missing "$role-database-url"; then
        echo "postgresql://${account%@*}:$(cat "$folder/$role-password")@${account#*@}/authapp" | store "$role-database-url"
    fi
done
if missing jwt-keys.json; then
    $flask keys generate | store jwt-keys.json
fi
if missing encryption-keys.json; then
    $flask keys encryption generate | store encryption-keys.json
fi
chmod 444 "$folder"/*-password "$folder"/*-database-url "$folder"/*-keys.json
