# shellcheck shell=bash
# docs/windows.md says nothing that the MSI, the program or its metrics do not know, nor do counters in
# docs/windows-service.md.

# check_page MSI
check_page() {
  local page=docs/windows.md known name
  known=$(property "$1" SecureCustomProperties | tr ';' '\n' | grep -v '^WIX_' | grep -v '^OLD' | sort)
  equal 'the page: the table of properties is the MSI'"'"'s' \
    "$(sed -n 's/^| `\([A-Z_]*\)` |.*/\1/p' "$page" | sort -u | tr '\n' ' ')" \
    "$(printf '%s\n' SOURCE TARGETS ADMIN EXTRA_FLAGS LOG_LEVEL SERVICE_ACCOUNT START_SERVICE INSTALLDIR PURGE | sort | tr '\n' ' ')"
  for name in $(sed -n '/^    msiexec/p' "$page" | grep -oE '\b[A-Z_]+=' | tr -d = | sort -u); do
    check "the page: $name, used in a line, is a public property of the MSI" grep -qx "$name" <<<"$known"
  done
  equal 'the page: event ids' "$(sed -n 's/^| event \([0-9]*\) |.*/\1/p' "$page" | sort -un | tr '\n' ' ')" \
    "$(sed -n 's/^    [A-Z][a-z]* = \([0-9]*\),/\1/p' src/service/events.rs | tr '\n' ' ')"
  equal 'the page: exit codes' "$(sed -n 's/^| exit code \([0-9]*\) |.*/\1/p' "$page" | sort -un | tr '\n' ' ')" \
    "$(sed -n '/^| exit code |/,/^$/s/^| \([0-9]*\) |.*/\1/p' README.md | grep -v '^0$' | tr '\n' ' ')"
  for name in $(grep -ohE 'udp_proxy_[a-z_]+' "$page" docs/windows-service.md | sort -u); do
    check "the pages: the counter $name is in docs/metrics.md" grep -q "^| \`${name#udp_proxy_}\` |" docs/metrics.md
  done
}
