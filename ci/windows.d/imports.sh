# shellcheck shell=bash
# What the programs import: a name that the least Windows lacks would keep the program from starting there.

# imports EXE   Its imports, one 'dll name' a line. An import without a name shows as '<none>'.
imports() {
  x86_64-w64-mingw32-objdump -p "$1" |
    awk '/DLL Name:/ {dll = tolower($3)} /vma: +Hint/ {on = dll != ""; next} NF < 3 {on = 0} on {print dll, $NF}' | sort -u
}
# listed FILE…   The lists windows/imports-*.txt, one 'dll name' a line.
listed() { awk '!/^#/ {dll = $1; sub(":$", "", dll); for (i = 2; i <= NF; i++) print dll, $i}' "$@" | sort -u; }
# beyond EXE FILE…   What EXE imports and no list has, in one line.
beyond() { comm -23 <(imports "$1") <(listed "${@:2}") | tr '\n' ';'; }

check_imports() {
  local win7=windows/imports-win7.txt exe
  for exe in "$LEGACY64" "$LEGACY32" "$MODERN"; do
    check "$exe: its imports can be read" grep -q '^ws2_32.dll recvfrom$' <(imports "$exe")
  done
  equal 'the 64-bit legacy program imports nothing newer than Windows 7' "$(beyond "$LEGACY64" $win7)" ''
  equal 'the 32-bit legacy program imports nothing newer than Windows 7' "$(beyond "$LEGACY32" $win7)" ''
  equal 'the modern program imports nothing newer than Server 2016' "$(beyond "$MODERN" $win7 windows/imports-2016.txt)" ''
  # The check can fail: the modern program fails it.
  check 'the modern program fails the list of Windows 7' grep -q 'bcryptprimitives.dll ProcessPrng;' <<<"$(beyond "$MODERN" $win7)"
}

# resources EXE   The types of its resources, as hexadecimal numbers.
resources() { x86_64-w64-mingw32-objdump -p "$1" | sed -nE 's/^[0-9a-f]+   Entry: ID: 0x0*([0-9a-f]+),.*/\1/p' | tr '\n' ' '; }

check_resources() {
  local exe word
  for exe in "$LEGACY64" "$LEGACY32" "$MODERN"; do
    equal "$exe: icon (3, e), texts of events (b), version (10), manifest (18)" "$(resources "$exe")" '3 b e 10 18 '
    for word in 'udp-proxy authors' "$VERSION"; do
      check "$exe says: $word" grep -qxF "$word" <(strings -el "$exe")
    done
  done
}
