-- What the MSI needs and wixl cannot say: one query a line, for msibuild -q. @VERSION@ is replaced by windows/build-msi.

-- Public properties reach the installing service from an elevated console too.
UPDATE `Property` SET `Value` = 'SOURCE;TARGETS;ADMIN;EXTRA_FLAGS;LOG_LEVEL;SERVICE_ACCOUNT;START_SERVICE;INSTALLDIR;PURGE;OLD_SOURCE;OLD_TARGETS;OLD_ADMIN;OLD_EXTRA_FLAGS;OLD_LOG_LEVEL;OLD_INSTALLDIR;OLD_ACCOUNT;WINDOWS_MAJOR;WIX_UPGRADE_DETECTED;WIX_DOWNGRADE_DETECTED' WHERE `Property` = 'SecureCustomProperties'

-- A property is what the command line says, else what is installed, else the default. (51: a property from text)
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('KeepSource', 51, 'SOURCE', '[OLD_SOURCE]')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('KeepTargets', 51, 'TARGETS', '[OLD_TARGETS]')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('KeepAdmin', 51, 'ADMIN', '[OLD_ADMIN]')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('KeepLogLevel', 51, 'LOG_LEVEL', '[OLD_LOG_LEVEL]')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('KeepExtraFlags', 51, 'EXTRA_FLAGS', '[OLD_EXTRA_FLAGS]')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('KeepInstallDir', 51, 'INSTALLDIR', '[OLD_INSTALLDIR]')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('KeepAccount', 51, 'SERVICE_ACCOUNT', '[OLD_ACCOUNT]')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('DefaultAccount', 51, 'SERVICE_ACCOUNT', 'NT SERVICE\udp-proxy')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('KeepSource', 'OLD_SOURCE AND NOT SOURCE', 701)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('KeepTargets', 'OLD_TARGETS AND NOT TARGETS', 702)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('KeepAdmin', 'OLD_ADMIN AND NOT ADMIN', 703)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('KeepLogLevel', 'OLD_LOG_LEVEL AND NOT LOG_LEVEL', 704)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('KeepExtraFlags', 'OLD_EXTRA_FLAGS AND NOT EXTRA_FLAGS', 705)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('KeepInstallDir', 'OLD_INSTALLDIR AND NOT INSTALLDIR', 706)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('KeepAccount', 'OLD_ACCOUNT AND NOT SERVICE_ACCOUNT', 707)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('DefaultAccount', 'NOT SERVICE_ACCOUNT', 708)

-- msiexec /i of what is installed already would do nothing: make it a repair, so that new properties are stored.
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('RepairAll', 51, 'REINSTALL', 'ALL')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('RepairHow', 51, 'REINSTALLMODE', 'emus')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('RepairHow', 'Installed AND NOT REMOVE AND NOT REINSTALL AND NOT RESUME', 710)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('RepairAll', 'Installed AND NOT REMOVE AND NOT REINSTALL AND NOT RESUME', 711)

-- The program itself refuses settings that cannot work, before anything is changed. (2: a program from Binary)
-- Extra flags that hold a quote cannot be passed on: those are checked at the service's start only.
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('CheckSettings', 2, 'Program', 'service validate --source "[SOURCE]" --targets "[TARGETS]" --admin "[ADMIN]" --log-level "[LOG_LEVEL]" --extra-flags "[EXTRA_FLAGS]"')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('CheckNamedSettings', 2, 'Program', 'service validate --source "[SOURCE]" --targets "[TARGETS]" --admin "[ADMIN]" --log-level "[LOG_LEVEL]"')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('CheckSettings', 'NOT REMOVE AND NOT (EXTRA_FLAGS >< QUOTE)', 1390)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('CheckNamedSettings', 'NOT REMOVE AND (EXTRA_FLAGS >< QUOTE) AND TARGETS', 1391)

-- Inside the transaction, so that an upgrade that fails brings the old version back; 512 of Attributes: the same
-- version of another build is replaced too, and never stands beside this one.
UPDATE `InstallExecuteSequence` SET `Sequence` = 1501 WHERE `Action` = 'RemoveExistingProducts'
DELETE FROM `Upgrade` WHERE `ActionProperty` = 'WIX_UPGRADE_DETECTED'
INSERT INTO `Upgrade` (`UpgradeCode`, `VersionMax`, `Attributes`, `ActionProperty`) VALUES ('{7B0C2A1E-52A5-4C7E-9A2D-8F0F3B1D6E55}', '@VERSION@', 513, 'WIX_UPGRADE_DETECTED')

-- With the version of its resources, the program is replaced by newer ones only and never by an older one.
UPDATE `File` SET `Version` = '@VERSION@.0', `Language` = '1033' WHERE `File` = 'Exe'
DELETE FROM `MsiFileHash` WHERE `File_` = 'Exe'

-- Wherever the texts of its events are; 7 is error, warning and information.
INSERT INTO `Registry` (`Registry`, `Root`, `Key`, `Name`, `Value`, `Component_`) VALUES ('EventMessageFile', 2, 'SYSTEM\CurrentControlSet\Services\EventLog\Application\udp-proxy', 'EventMessageFile', '#%[INSTALLDIR]udp-proxy.exe', 'EventSource')

-- Delayed start by the table made for it (3: SERVICE_CONFIG_DELAYED_AUTO_START, 5: at install and reinstall). Recovery
-- actions by the program (3090: an installed file, deferred, as the system): Microsoft says of the table for them that it
-- does not work as expected.
CREATE TABLE `MsiServiceConfig` (`MsiServiceConfig` CHAR(72) NOT NULL, `Name` CHAR(255) NOT NULL, `Event` SHORT NOT NULL, `ConfigType` LONG NOT NULL, `Argument` CHAR(255), `Component_` CHAR(72) NOT NULL PRIMARY KEY `MsiServiceConfig`)
INSERT INTO `MsiServiceConfig` (`MsiServiceConfig`, `Name`, `Event`, `ConfigType`, `Argument`, `Component_`) VALUES ('DelayedStart', 'udp-proxy', 5, 3, '1', 'Program')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('MsiConfigureServices', 'VersionNT >= 600', 5850)
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('ConfigureService', 3090, 'Exe', 'service configure --account "[SERVICE_ACCOUNT]"')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('ConfigureService', 'NOT REMOVE', 5860)

-- The program waits for its drain as long as it moves; StopServices gives up after 30 s. A rollback starts it again.
-- (3154: ConfigureService's type, and a failure is no matter: it is not running. 3410: the same in a rollback)
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('StartAgain', 3410, 'Exe', 'service start')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('DrainService', 3154, 'Exe', 'service stop')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('StartAgain', 'Installed AND START_SERVICE <> "0"', 1880)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('DrainService', 'Installed', 1890)

UPDATE `InstallExecuteSequence` SET `Condition` = 'VersionNT AND START_SERVICE <> "0"' WHERE `Action` = 'StartServices'

-- The logs go with PURGE=1 only: a row whose directory property is not set does nothing. As many
-- names as the service keeps files. (2: when it is removed)
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('PurgeLogs', 51, 'PURGELOGDIR', '[LOGDIR]')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('PurgeData', 51, 'PURGEDATADIR', '[DATADIR]')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('PurgeLogs', 'REMOVE = "ALL" AND PURGE = "1" AND NOT UPGRADINGPRODUCTCODE', 1010)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('PurgeData', 'REMOVE = "ALL" AND PURGE = "1" AND NOT UPGRADINGPRODUCTCODE', 1011)
INSERT INTO `RemoveFile` (`FileKey`, `Component_`, `FileName`, `DirProperty`, `InstallMode`) VALUES ('Log0', 'Program', 'udp-proxy.log', 'PURGELOGDIR', 2)
INSERT INTO `RemoveFile` (`FileKey`, `Component_`, `FileName`, `DirProperty`, `InstallMode`) VALUES ('Log1', 'Program', 'udp-proxy.1.log', 'PURGELOGDIR', 2)
INSERT INTO `RemoveFile` (`FileKey`, `Component_`, `FileName`, `DirProperty`, `InstallMode`) VALUES ('Log2', 'Program', 'udp-proxy.2.log', 'PURGELOGDIR', 2)
INSERT INTO `RemoveFile` (`FileKey`, `Component_`, `FileName`, `DirProperty`, `InstallMode`) VALUES ('Log3', 'Program', 'udp-proxy.3.log', 'PURGELOGDIR', 2)
INSERT INTO `RemoveFile` (`FileKey`, `Component_`, `FileName`, `DirProperty`, `InstallMode`) VALUES ('Log4', 'Program', 'udp-proxy.4.log', 'PURGELOGDIR', 2)
INSERT INTO `RemoveFile` (`FileKey`, `Component_`, `DirProperty`, `InstallMode`) VALUES ('LogDir', 'Program', 'PURGELOGDIR', 2)
INSERT INTO `RemoveFile` (`FileKey`, `Component_`, `DirProperty`, `InstallMode`) VALUES ('MoreData', 'Program', 'PURGEDATADIR', 2)

-- Where the list of programs says it is.
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('TellLocation', 51, 'ARPINSTALLLOCATION', '[INSTALLDIR]')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('TellLocation', 'NOT REMOVE', 1005)
