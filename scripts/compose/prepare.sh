#!/bin/sh
# Makes the secrets of compose.yaml in ./secrets, and prints a caller's token once.
#
#   scripts/compose/prepare.sh [NAME]
#
# Only its owner can enter the folder. Every user may read the files in it, because the containers, which mount
# single files, run as other users.
set -eu
name=${1:-me}

umask 077
mkdir -p secrets
umask 022

random() {
  head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'
}

for secret in postgres_password reader_password redis_password state_keys; do
  [ -s "secrets/$secret" ] || random > "secrets/$secret"
done
printf 'redis://:%s@redis:6379/0' "$(cat secrets/redis_password)" > secrets/redis_url

token=pgmcp_$(random)
hash=$(printf %s "$token" | sha256sum | cut -d ' ' -f 1)
if [ -s secrets/token_hashes ]; then
  printf '%s,%s=%s' "$(cat secrets/token_hashes)" "$name" "$hash" > secrets/token_hashes.new
  mv secrets/token_hashes.new secrets/token_hashes
else
  printf '%s=%s' "$name" "$hash" > secrets/token_hashes
fi
echo "$token"
