#!/bin/sh
# PostgreSQL's own clients against a running sandbox: psql.sh STATE_FILE. Needs psql, pg_dump, pg_restore and python3.
# Prints a line for each check and, last, `psql: N passed, M failed`; ends with 1 if any failed.
set -u
state=$1
value() { python3 -c 'import json,sys
v = json.load(open(sys.argv[1]))
for key in sys.argv[2].split("/"): v = v[key]
print(v)' "$state" "$1"; }
ca=$(value ca_file)
url=$(value postgres/live_url)
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# The password goes through a file, not through arguments that every user of the machine can read.
eval "$(python3 -c 'import sys, shlex, urllib.parse
u = urllib.parse.urlsplit(sys.stdin.read().strip())
for name, part in (("user", u.username), ("port", u.port), ("database", u.path[1:])):
    print(f"{name}={shlex.quote(str(part))}")
with open(sys.argv[1], "w") as file:
    file.write(f"*:*:*:*:{u.password}\n")' "$work/pgpass" <<URL
$url
URL
)"
chmod 600 "$work/pgpass"
export PGPASSFILE="$work/pgpass" PGCONNECT_TIMEOUT=10

check() { # name, command…: it must succeed
  name=$1
  shift
  if "$@" >"$work/out" 2>&1; then
    passed=$((passed + 1))
    echo "ok   $name"
  else
    failed=$((failed + 1))
    echo "FAIL $name: $(tail -n 2 "$work/out" | tr '\n' ' ')"
  fi
}
refused() { # name, words, command…: it must fail and say so
  name=$1 words=$2
  shift 2
  if "$@" >"$work/out" 2>&1; then
    failed=$((failed + 1))
    echo "FAIL $name: it was not refused"
  elif grep -q "$words" "$work/out"; then
    passed=$((passed + 1))
    echo "ok   $name"
  else
    failed=$((failed + 1))
    echo "FAIL $name: $(tail -n 2 "$work/out" | tr '\n' ' ')"
  fi
}
at() { # host, sslmode, further parameters
  echo "host=$1 hostaddr=127.0.0.1 port=$port user=$user dbname=${4:-$database} sslmode=$2 sslrootcert=$ca $3"
}
live=s189p01-rsm-pd-pg.postgres.database.azure.com
sql() { psql -XAtq -v ON_ERROR_STOP=1 -d "$(at localhost verify-full '')" "$@"; }
says() { [ "$(sql -c "$2")" = "$1" ]; }

check 'verify-full as localhost' psql -XAtc 'SELECT 1' -d "$(at localhost verify-full '')"
check 'verify-full under its Azure name' psql -XAtc 'SELECT 1' -d "$(at $live verify-full '')"
refused 'a certificate for another name is noticed' 'does not match host name' \
  psql -XAtc 'SELECT 1' -d "$(at other.postgres.database.azure.com verify-full '')"
refused 'plain text is refused' 'no encryption' psql -XAtc 'SELECT 1' -d "$(at localhost disable '')"
refused 'a wrong password is refused' 'password authentication failed' \
  env PGPASSFILE=/dev/null PGPASSWORD=wrong psql -XAtc 'SELECT 1' -d "$(at localhost require '')"
refused 'another database is refused' 'does not exist' psql -XAtc 'SELECT 1' -d "$(at localhost require '' nothing)"
check 'TLS 1.3' says TLSv1.3 'SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()'
check 'the service user is no superuser' says f 'SELECT rolsuper FROM pg_roles WHERE rolname = current_user'
check 'write-ahead log is archived' says on 'SHOW archive_mode'
check 'it is the live timeline' says 1 'SELECT timeline_id FROM pg_control_checkpoint()'
check 'describe a table' psql -X -d "$(at localhost verify-full '')" -c '\d+ referrals'
check 'copy out' sql -c "\\copy (SELECT * FROM referrals LIMIT 100) TO '$work/rows.csv' CSV HEADER"
check 'it has 101 lines' test "$(wc -l <"$work/rows.csv")" -eq 101
check 'pg_dump, custom format' pg_dump -Fc --no-owner -f "$work/all.dump" -d "$(at localhost verify-full '')"
check 'pg_restore lists it' sh -c "pg_restore -l '$work/all.dump' | grep -q 'TABLE DATA public referrals'"
sql -d "$(at localhost verify-full '')" -c 'DROP DATABASE IF EXISTS fidelity' >/dev/null 2>&1
check 'make a database' sql -c 'CREATE DATABASE fidelity'
check 'pg_restore into it' pg_restore --no-owner --exit-on-error -d "$(at localhost verify-full '' fidelity)" "$work/all.dump"
check 'the rows are all there' sh -c "[ \"\$(psql -XAtc 'SELECT count(*) >= 24000 FROM referrals' -d '$(at localhost verify-full '' fidelity)')\" = t ]"
check 'pg_dump, plain and compressed, as the platform does' sh -c \
  "pg_dump --clean --if-exists --no-owner --compress=1 -f '$work/all.sql.gz' -d '$(at localhost verify-full '')' && gzip -t '$work/all.sql.gz'"
check 'remove the database' sql -c 'DROP DATABASE fidelity'
if command -v pg_isready >/dev/null 2>&1; then
  check 'pg_isready' pg_isready -h 127.0.0.1 -p "$port"
fi
echo "psql: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
