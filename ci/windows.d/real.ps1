# ci/windows' installation steps on a real Windows, as an administrator: ci/windows.d/real.ps1 DIR, where DIR holds
# udp-proxy-*-x64.msi, its .exe and newer-x64.msi. UNPROVEN: no run of it has been seen.
param([Parameter(Mandatory)] [string] $Dir)
$ErrorActionPreference = 'Stop'
$script:passed = 0
$script:failed = 0
function Check($what, [scriptblock] $claim) {
  $ok = try { [bool](& $claim) } catch { Write-Host $_; $false }
  if ($ok) { $script:passed++; Write-Host "ok   $what" } else { $script:failed++; Write-Host "FAIL $what" }
}
function Msi([string[]] $words) {
  $log = "$env:TEMP\udp-proxy-msi.log"
  $done = Start-Process msiexec.exe -ArgumentList ($words + @('/qn', '/l*v', "`"$log`"")) -Wait -PassThru
  if ($done.ExitCode -ne 0) { Write-Host "msiexec: $($done.ExitCode)"; Select-String -Path $log -Pattern 'Return value 3' -Context 8, 0 | Select-Object -First 1 | Out-Host }
  $done.ExitCode
}
function Status { Invoke-RestMethod http://127.0.0.1:18126/status -TimeoutSec 10 }
function Wmi { Get-CimInstance Win32_Service -Filter "Name='udp-proxy'" }
function Recent($id) { Get-WinEvent -FilterHashtable @{ LogName = 'Application'; ProviderName = 'udp-proxy'; Id = $id; StartTime = $began } -ErrorAction SilentlyContinue }
function Until([scriptblock] $fact) {
  foreach ($i in 1..100) { if (try { & $fact } catch { $false }) { return $true }; Start-Sleep -Milliseconds 100 }
  $false
}
$began = Get-Date
$exe = (Resolve-Path "$Dir\udp-proxy-*-x64.exe").Path
$msi = (Resolve-Path "$Dir\udp-proxy-*-x64.msi").Path
$newer = (Resolve-Path "$Dir\newer-x64.msi").Path
$settings = 'HKLM:\SOFTWARE\udp-proxy'
$source = 'HKLM:\SYSTEM\CurrentControlSet\Services\EventLog\Application\udp-proxy'
$installed = "$env:ProgramFiles\udp-proxy\udp-proxy.exe"
$logs = "$env:ProgramData\udp-proxy\log"

Check 'a target without a port is refused' { (Msi @('/i', "`"$msi`"", 'TARGETS=nonsense')) -ne 0 }
Check 'nothing has changed' { -not (Wmi) -and -not (Test-Path $settings) -and -not (Test-Path $source) }

Check 'installation' { (Msi @('/i', "`"$msi`"", 'TARGETS="a=127.0.0.1:19001 b=127.0.0.1:19002"', 'SOURCE=127.0.0.1:18125', 'ADMIN=127.0.0.1:18126')) -eq 0 }
Check 'the service runs' { (Wmi).State -eq 'Running' }
Check 'its account' { (Wmi).StartName -eq 'NT SERVICE\udp-proxy' }
Check 'what it starts' { (Wmi).PathName -eq "`"$installed`" service run" }
Check 'delayed start' { (Wmi).DelayedAutoStart }
Check 'recovery after 5 s, 30 s, 60 s' { $said = (sc.exe qfailure udp-proxy) -join ' '; $said -match '5000 .*30000 .*60000 ' }
Check 'also after exit codes' { ((sc.exe qfailureflag udp-proxy) -join ' ') -match 'TRUE|1' }
Check 'event 1' { Until { Recent 1 } }
Check 'the event has its text' { (Recent 1)[0].Message -match 'serves' }

$sinks = 19001, 19002 | ForEach-Object { Start-Process $exe -ArgumentList "sink --source 127.0.0.1:$_ --expect 10000 --duration 60s" -PassThru -NoNewWindow }
$sinks | ForEach-Object { $null = $_.Handle } # keeps their exit codes
Check 'both sinks listen' { Until { (Get-NetUDPEndpoint -LocalPort 19001, 19002 -ErrorAction SilentlyContinue).Count -eq 2 } }
& $exe load --target 127.0.0.1:18125 --count 10000 --rate 4k --duration 30s
Check 'each has 10,000' { $sinks | Wait-Process -Timeout 70; -not ($sinks | Where-Object ExitCode -ne 0) }
Check 'the books' { $b = (Status).books; $b.received -eq 10000 -and $b.sent -eq 20000 -and $b.dropped -eq 0 -and $b.balanced }

Check 'stop' { Stop-Service udp-proxy; (Wmi).State -eq 'Stopped' }
Check 'event 2' { Until { Recent 2 } }
Check 'start' { Start-Service udp-proxy; (Wmi).State -eq 'Running' }
Check 'a log is written by that account' { (Get-Item "$logs\udp-proxy.log").Length -gt 0 }

Check 'msiexec /i with a third target' { (Msi @('/i', "`"$msi`"", 'TARGETS="a=127.0.0.1:19001 b=127.0.0.1:19002 c=127.0.0.1:19003"')) -eq 0 }
Check 'it sends to three' { Until { (Status).config.targets.Count -eq 3 } }
Check 'msiexec /i with a named pipe' { (Msi @('/i', "`"$msi`"", 'SOURCE="127.0.0.1:18125 \\.\pipe\udp-proxy-ci"')) -eq 0 }
$client = New-Object System.IO.Pipes.NamedPipeClientStream('.', 'udp-proxy-ci', [System.IO.Pipes.PipeDirection]::Out)
Check 'a client writes into it' { $client.Connect(10000); $client.Write([byte[]][char[]]"a:1|c`nb:2|c`n", 0, 12); $client.Dispose(); $true }
Check 'each line is a datagram' { Until { (Status).listeners[1].received -eq 2 } }
$taken = & $exe --source '\\.\pipe\udp-proxy-ci' --target 127.0.0.1:9 --admin off 2>&1
Check 'a pipe that another process has is refused' { $LASTEXITCODE -eq 1 -and "$taken" -match 'has a pipe of this name' }
Remove-Item "$env:ProgramFiles\udp-proxy\LICENSE.txt"
Check 'msiexec /f' { (Msi @('/f', "`"$msi`"")) -eq 0 -and (Test-Path "$env:ProgramFiles\udp-proxy\LICENSE.txt") }
Check 'another account' { (Msi @('/i', "`"$msi`"", '"SERVICE_ACCOUNT=NT AUTHORITY\LocalService"')) -eq 0 -and (Wmi).StartName -eq 'NT AUTHORITY\LocalService' }
Check 'upgrade' { (Msi @('/i', "`"$newer`"")) -eq 0 }
Check 'settings and account are kept' { (Until { (Status).config.targets.Count -eq 3 }) -and (Wmi).StartName -eq 'NT AUTHORITY\LocalService' }
Check 'a downgrade is refused' { (Msi @('/i', "`"$msi`"")) -ne 0 -and (Wmi).State -eq 'Running' }

Stop-Service udp-proxy
$good = (Get-ItemProperty $settings).Targets
Set-ItemProperty $settings Targets nonsense
sc.exe failure udp-proxy reset= 0 actions= '""' | Out-Null # no recovery while its end is looked at
sc.exe start udp-proxy | Out-Null
Check 'a wrong configuration ends stopped, with exit code 2' { Until { $w = Wmi; $w.State -eq 'Stopped' -and $w.ServiceSpecificExitCode -eq 2 } }
Check 'event 3' { Until { (Recent 3).Message -match 'nonsense' } }
Check 'the MSI mends it' { (Msi @('/i', "`"$newer`"", "TARGETS=`"$good`"")) -eq 0 -and (Wmi).State -eq 'Running' }

Check 'uninstallation' { (Msi @('/x', "`"$newer`"")) -eq 0 }
Check 'nothing is left' { -not (Wmi) -and -not (Test-Path $settings) -and -not (Test-Path $source) -and -not (Test-Path "$env:ProgramFiles\udp-proxy") }
Check 'the logs are' { Test-Path "$logs\udp-proxy.log" }
Check 'again, without starting it' { (Msi @('/i', "`"$msi`"", 'START_SERVICE=0', 'TARGETS=127.0.0.1:19001')) -eq 0 -and (Wmi).State -eq 'Stopped' }
Check 'PURGE=1' { (Msi @('/x', "`"$msi`"", 'PURGE=1')) -eq 0 -and -not (Test-Path "$env:ProgramData\udp-proxy") }
Write-Host "$script:passed passed, $script:failed failed"
exit [int]($script:failed -gt 0)
