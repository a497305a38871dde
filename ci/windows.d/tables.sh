# shellcheck shell=bash
# The MSIs' tables: what Windows will do, as far as it can be read.

# rows MSI TABLE   Its rows, fields parted by tabs.
rows() { msiinfo export "$1" "$2" | tail -n +4 | tr -d '\r'; }
# row 'what' MSI TABLE field…   The table has this very row.
row() {
  local what=$1 msi=$2 table=$3 line; shift 3
  line=$(printf '\t%s' "$@")
  if rows "$msi" "$table" | grep -qxF -- "${line:1}"; then pass "$what"; else
    fail "$what: $table has no row '${line:1}'"; rows "$msi" "$table" | sed 's/^/     | /' >&2
  fi
}
property() { rows "$1" Property | awk -F'\t' -v p="$2" '$1 == p {print $2}'; }
# order MSI action…   The actions that stand in InstallExecuteSequence, in their order.
order() {
  local msi=$1; shift
  rows "$msi" InstallExecuteSequence | sort -t$'\t' -k3n | cut -f1 | grep -xE "$(IFS='|'; echo "$*")" | tr '\n' ' '
}

# check_tables MSI EXE VARIANT VERSION
check_tables() {
  local msi=$1 exe=$2 variant=$3 version=$4 name template search bits property out
  case $variant in x64*) template='x64;1033' search=18 bits=256 ;; x86*) template='Intel;1033' search=2 bits=0 ;; esac
  equal "$variant: the platform" "$(msiinfo suminfo "$msi" | sed -n 's/^Template: //p')" "$template"
  equal "$variant: the version" "$(property "$msi" ProductVersion)" "$version"
  equal "$variant: the publisher" "$(property "$msi" Manufacturer)" 'udp-proxy authors'
  equal "$variant: one upgrade code for all" "$(property "$msi" UpgradeCode)" '{7b0c2a1e-52a5-4c7e-9a2d-8f0f3b1d6e55}'
  for name in SOURCE TARGETS ADMIN EXTRA_FLAGS LOG_LEVEL SERVICE_ACCOUNT START_SERVICE INSTALLDIR PURGE; do
    check "$variant: $name reaches the installing service" grep -q ";$name;" <<<";$(property "$msi" SecureCustomProperties);"
  done
  row "$variant: the service" "$msi" ServiceInstall Service udp-proxy udp-proxy 16 2 1 '' '' '[SERVICE_ACCOUNT]' '' 'service run' \
    Program 'Receives every StatsD/DogStatsD datagram once and sends it to every target, and never loses one in silence.'
  row "$variant: it is started, stopped and deleted" "$msi" ServiceControl Service udp-proxy 163 '' 1 Program
  row "$variant: delayed start" "$msi" MsiServiceConfig DelayedStart udp-proxy 5 3 1 Program
  row "$variant: recovery by the program, as the system" "$msi" CustomAction ConfigureService 3090 Exe 'service configure --account "[SERVICE_ACCOUNT]"' ''
  row "$variant: the default account" "$msi" CustomAction DefaultAccount 51 SERVICE_ACCOUNT 'NT SERVICE\udp-proxy' ''
  row "$variant: it drains as long as it takes" "$msi" CustomAction DrainService 3154 Exe 'service stop' ''
  row "$variant: older versions and other builds are replaced" "$msi" Upgrade '{7B0C2A1E-52A5-4C7E-9A2D-8F0F3B1D6E55}' '' "$version" '' 513 '' WIX_UPGRADE_DETECTED
  row "$variant: newer ones are not" "$msi" LaunchCondition 'NOT WIX_DOWNGRADE_DETECTED' \
    'A newer udp-proxy is installed. Uninstall it first if you want an older one.'
  row "$variant: the account is looked for" "$msi" RegLocator OldAccount 2 'SYSTEM\CurrentControlSet\Services\udp-proxy' ObjectName "$search"
  row "$variant: the targets are looked for" "$msi" RegLocator OldTargets 2 'SOFTWARE\udp-proxy' Targets "$search"
  row "$variant: the file's version" "$msi" File Exe Program udp-proxy.exe "$(stat -c %s "$exe")" "$version.0" 1033 512 1
  row "$variant: the events' texts" "$msi" Registry EventMessageFile 2 'SYSTEM\CurrentControlSet\Services\EventLog\Application\udp-proxy' \
    EventMessageFile '#%[INSTALLDIR]udp-proxy.exe' EventSource
  equal "$variant: components of its bitness" "$(rows "$msi" Component | awk -F'\t' -v b="$bits" '{n += ($4 - $4 % 256 == b)} END {print n "/" NR}')" 4/4
  equal "$variant: settings are checked first, the old version goes inside the transaction" \
    "$(order "$msi" AppSearch KeepTargets RepairAll CostInitialize CheckSettings InstallInitialize RemoveExistingProducts InstallFiles)" \
    'AppSearch KeepTargets RepairAll CostInitialize CheckSettings InstallInitialize RemoveExistingProducts InstallFiles '
  equal "$variant: the service is complete before it starts" \
    "$(order "$msi" DrainService StopServices WriteRegistryValues InstallServices MsiConfigureServices ConfigureService StartServices)" \
    'DrainService StopServices WriteRegistryValues InstallServices MsiConfigureServices ConfigureService StartServices '
  equal "$variant: PURGE=1 takes as many logs as the service keeps" \
    "$(rows "$msi" RemoveFile | grep -c '\.log')" "$(sed -n 's/^const LOG_FILES: u32 = \([0-9]*\);/\1/p' src/service/windows/run.rs)"
  case $variant in
    x64) property='WINDOWS_MAJOR OR REMOVE' ;;
    *) property='VersionNT >= 601 OR REMOVE' ;;
  esac
  check "$variant: the floor" grep -qF "$property" <<<"$(rows "$msi" LaunchCondition)"
  out=$(mktemp -d "$WORK/unpacked.XXXXXX")
  msiextract -C "$out" "$msi" >"$out/list"
  check "$variant: the program inside is the one that was built" cmp "$exe" "$(find "$out" -name udp-proxy.exe)"
  msiinfo extract "$msi" Binary.Program >"$out/checker"
  check "$variant: so is the one that checks the settings" cmp "$exe" "$out/checker"
}
