#!/usr/bin/env python3
"""Microsoft's own Python clients against a running sandbox: azure_management.py STATE_FILE.

Needs azure-mgmt-postgresqlflexibleservers, azure-mgmt-monitor and azure-identity. The sandbox should run with --fast.
Prints a line for each check and, last, `azure: N passed, M failed`; ends with 1 if any failed.
"""
import datetime
import json
import sys
import time
import urllib.request

from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.core.credentials import AccessToken
from azure.core.rest import HttpRequest
from azure.identity import ClientSecretCredential
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient
from azure.mgmt.postgresqlflexibleservers import models

with open(sys.argv[1], encoding="utf-8") as file:
    STATE = json.load(file)
AZURE = STATE["azure"]
CA = STATE["ca_file"]
GROUP = AZURE["resource_group"]
LIVE = "s189p01-rsm-pd-pg"
PTR = "s189p01-rsm-pd-pg-fidelity"
passed = failed = 0


def check(name, true, more=""):
    """One line for one check."""
    global passed, failed
    if true:
        passed += 1
        print(f"ok   {name}")
    else:
        failed += 1
        print(f"FAIL {name} {more}")


def refused(name, kind, status, code, call):
    """The call must fail with this exception, status and Azure code."""
    try:
        call()
    except kind as error:
        said = getattr(error.error, "code", None) if getattr(error, "error", None) else None
        right = error.status_code == status and code in (said or str(error))
        check(name, right, f"{error.status_code} {said} {error}")
    except Exception as error:  # pylint: disable=broad-except
        check(name, False, f"{type(error).__name__}: {error}")
    else:
        check(name, False, "it was not refused")


def attempt(name, call):
    """The call must not fail; gives what it gives."""
    try:
        answer = call()
    except Exception as error:  # pylint: disable=broad-except
        check(name, False, f"{type(error).__name__}: {error}")
        return None
    check(name, True)
    return answer


def control(method, path, body=None):
    """The sandbox's own remote control."""
    request = urllib.request.Request(STATE["control"]["endpoint"] + path, method=method)
    request.add_header("Authorization", "Bearer " + STATE["control"]["token"])
    data = None
    if body is not None:
        request.add_header("Content-Type", "application/json")
        data = json.dumps(body).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, data, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def resource(name):
    """A server's resource id."""
    return (
        f"/subscriptions/{AZURE['subscription']}/resourceGroups/{GROUP}/providers/"
        f"Microsoft.DBforPostgreSQL/flexibleServers/{name}"
    )


def utc(seconds_ago=0):
    """A time as the restores take it."""
    return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds_ago)


credential = ClientSecretCredential(
    AZURE["tenant"],
    AZURE["client_id"],
    AZURE["client_secret"],
    authority=AZURE["endpoint"].replace("https://", ""),
    disable_instance_discovery=True,
    connection_verify=CA,
)
token = attempt("azure-identity gets a token", lambda: credential.get_token("https://management.azure.com/.default"))
options = {
    "base_url": AZURE["endpoint"],
    "credential_scopes": ["https://management.azure.com/.default"],
    "connection_verify": CA,
    "retry_total": 0,
}
client = PostgreSQLManagementClient(credential, AZURE["subscription"], **options)
monitor = MonitorManagementClient(credential, AZURE["subscription"], **options)


def restore(name, mode, source, when):
    """PUT with a create mode; gives the poller."""
    server = models.Server(
        location="uksouth",
        properties=models.ServerProperties(
            create_mode=mode, source_server_resource_id=resource(source), point_in_time_utc=when
        ),
    )
    return client.servers.begin_create_or_update(GROUP, name, server)


def restorable(name, seconds_ago):
    """Waits until a server's window began so long ago."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        earliest = client.servers.get(GROUP, name).properties.backup.earliest_restore_date
        if earliest and earliest < utc(seconds_ago):
            return True
        time.sleep(0.5)
    return False


# Reading.
names = [s.name for s in client.servers.list_by_resource_group(GROUP)]
check("servers of the group", LIVE in names, names)
check("servers of the subscription", LIVE in [s.name for s in client.servers.list_by_subscription()])
live = attempt("get the live server", lambda: client.servers.get(GROUP, LIVE))
check("its state is Ready", live.properties.state == "Ready", live.properties.state)
check("its address", live.properties.fully_qualified_domain_name == f"{LIVE}.postgres.database.azure.com")
check("its network is a delegated subnet", "postgres-snet" in live.properties.network.delegated_subnet_resource_id)
refused("404 for a server that is not there", ResourceNotFoundError, 404, "ResourceNotFound",
        lambda: client.servers.get(GROUP, "nothing-here"))
refused("404 for a group that is not there", ResourceNotFoundError, 404, "ResourceGroupNotFound",
        lambda: list(client.servers.list_by_resource_group("no-group")))
check("no replicas", list(client.replicas.list_by_server(GROUP, LIVE)) == [])


def name_check(name):
    """Asks whether a name is free."""
    return client.name_availability.check_with_location(
        "uksouth",
        models.CheckNameAvailabilityRequest(name=name, type="Microsoft.DBforPostgreSQL/flexibleServers"),
    )


check("a free name is available", name_check(PTR).name_available is True)
taken = name_check(LIVE)
check("a taken name is not", taken.name_available is False and taken.reason == "AlreadyExists", taken)

# Point-in-time restore.
check("a restore window opens", restorable(LIVE, 7))
point = utc(6)
poller = attempt("a restore is accepted", lambda: restore(PTR, "PointInTimeRestore", LIVE, point))
restored = attempt("the poller follows it to its end", lambda: poller.result(120))
restored = restored or client.servers.get(GROUP, PTR)
check("the restored server is Ready", restored.properties.state == "Ready", restored.properties.state)
check("it has the source's SKU", restored.sku.name == live.sku.name)
refused("409 for a name that is taken", ResourceExistsError, 409, "ServerNameAlreadyExists",
        lambda: restore(PTR, "PointInTimeRestore", LIVE, point))
refused("400 before the earliest restore date", HttpResponseError, 400, "InvalidParameterValue",
        lambda: restore("fidelity-early", "PointInTimeRestore", LIVE, utc(86_400 * 30)))
refused("400 in the future", HttpResponseError, 400, "InvalidParameterValue",
        lambda: restore("fidelity-late", "PointInTimeRestore", LIVE, utc(-3_600)))
refused("404 for a source that is not there", ResourceNotFoundError, 404, "ResourceNotFound",
        lambda: restore("fidelity-none", "PointInTimeRestore", "nothing-here", point))

# Stop, start, restart, update.
attempt("stop", lambda: client.servers.begin_stop(GROUP, PTR).result(60))
check("it is Stopped", client.servers.get(GROUP, PTR).properties.state == "Stopped")
refused("409 to restart what is stopped", ResourceExistsError, 409, "InvalidServerState",
        lambda: client.servers.begin_restart(GROUP, PTR).result(60))
attempt("start", lambda: client.servers.begin_start(GROUP, PTR).result(60))
attempt("restart", lambda: client.servers.begin_restart(GROUP, PTR).result(60))
check("it is Ready again", client.servers.get(GROUP, PTR).properties.state == "Ready")
updated = attempt(
    "update the tags",
    lambda: client.servers.begin_update(GROUP, PTR, models.ServerForPatch(tags={"drill": "yes"})).result(60),
)
check("the tags are there", client.servers.get(GROUP, PTR).tags == {"drill": "yes"}, updated)

# Backups.
backups = client.backups_automatic_and_on_demand
check("the automatic backup is listed", any(b.backup_type == "Full" for b in backups.list_by_server(GROUP, LIVE)))
attempt("a backup on demand", lambda: backups.begin_create(GROUP, LIVE, "fidelity-1").result(60))
check("it is listed", "fidelity-1" in [b.name for b in backups.list_by_server(GROUP, LIVE)])

# Monitor.
now = utc()
metrics = attempt(
    "metrics",
    lambda: monitor.metrics.list(
        resource(LIVE),
        timespan=f"{(now - datetime.timedelta(minutes=5)).strftime('%Y-%m-%dT%H:%M:%SZ')}/{now.strftime('%Y-%m-%dT%H:%M:%SZ')}",
        interval="PT1M",
        metricnames="is_db_alive,cpu_percent",
        aggregation="Maximum",
    ),
)
alive = [d.maximum for d in metrics.value[0].timeseries[0].data if d.maximum is not None]
check("the database is alive", alive and alive[-1] == 1.0, alive)
raw = client._client  # the pipeline that the generated client sends through


class Settings:
    """Diagnostic settings, sent through azure-core: azure-mgmt-monitor has no client for them since 7.0."""

    def send(self, method, server, name="", body=None):
        """One request; raises what the generated clients raise."""
        path = f"{resource(server)}/providers/Microsoft.Insights/diagnosticSettings{name}"
        url = f"{AZURE['endpoint']}{path}?api-version=2021-05-01-preview"
        answer = raw.send_request(HttpRequest(method, url, json=body))
        if answer.status_code == 409:
            raise ResourceExistsError(response=answer)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def names(self, server):
        """The names of a server's settings, whether the server is there or not."""
        return [setting["name"] for setting in self.send("GET", server)["value"]]


settings = Settings()
kept = attempt("diagnostic settings", lambda: settings.names(LIVE))
check("the platform's own is there", f"{LIVE}-diagnotics" in (kept or []), kept)
mine = {"properties": {
    "storageAccountId": "/subscriptions/x/resourceGroups/y/providers/Microsoft.Storage/storageAccounts/z",
    "logs": [{"category": "PostgreSQLLogs", "enabled": True}],
}}
attempt("make a setting", lambda: settings.send("PUT", PTR, "/fidelity", mine))
refused("409 for a sink that is used already", ResourceExistsError, 409, "Conflict",
        lambda: settings.send("PUT", PTR, "/another", mine))

# Deletion and revival.
refused("409 for a locked server", ResourceExistsError, 409, "ScopeLocked",
        lambda: client.servers.begin_delete(GROUP, LIVE).result(60))
check("the restored server is backed up itself", restorable(PTR, 0))
attempt("delete", lambda: client.servers.begin_delete(GROUP, PTR).result(60))
refused("404 after it", ResourceNotFoundError, 404, "ResourceNotFound", lambda: client.servers.get(GROUP, PTR))
attempt("to delete it again is no error", lambda: client.servers.begin_delete(GROUP, PTR).result(60))
check("its diagnostic setting outlives it", settings.names(PTR) == ["fidelity"])
attempt("and can be deleted", lambda: settings.send("DELETE", PTR, "/fidelity"))


def deletions():
    """The log's events of the deletion."""
    text = (f"eventTimestamp ge '{(utc(3_600)).strftime('%Y-%m-%dT%H:%M:%SZ')}' and "
            "resourceProvider eq 'Microsoft.DBforPostgreSQL'")
    return [
        e for e in monitor.activity_logs.list(filter=text)
        if e.operation_name.value.endswith("flexibleServers/delete") and e.resource_id.endswith(PTR)
    ]


end = time.monotonic() + 20
events = deletions()
while len(events) < 3 and time.monotonic() < end:
    time.sleep(0.3)
    events = deletions()
check("the activity log tells of it", {e.status.value for e in events} == {"Started", "Accepted", "Succeeded"})
check("its events share a correlation id", len({e.correlation_id for e in events}) == 1)
check("with the submission's time", all(e.submission_timestamp for e in events))
refused("400 for a filter that the log does not know", HttpResponseError, 400, "BadRequest",
        lambda: list(monitor.activity_logs.list(filter="eventTimestamp ge '2026-01-01T00:00:00Z' and operationName eq 'x'")))
revived = attempt("revive", lambda: restore(PTR + "-back", "ReviveDropped", PTR, utc()).result(120))
check("the revived server is Ready", client.servers.get(GROUP, PTR + "-back").properties.state == "Ready")
refused("404 to revive what never was", ResourceNotFoundError, 404, "ResourceNotFound",
        lambda: restore("fidelity-none", "ReviveDropped", "nothing-here", utc()))
attempt("delete the revived server", lambda: client.servers.begin_delete(GROUP, PTR + "-back").result(60))

# Signed addresses, rights, throttling, tokens.
response = raw.send_request(HttpRequest("POST", f"{AZURE['endpoint']}{resource(LIVE)}/restart?api-version=2025-08-01"))
poll = response.headers["Azure-AsyncOperation"]
check("operation addresses are long and signed", response.status_code == 202 and len(poll) > 2_900, len(poll))
check("followed as given, they answer", raw.send_request(HttpRequest("GET", poll)).status_code == 200)
check("altered, they do not", raw.send_request(HttpRequest("GET", poll.replace("&t=", "&t=1"))).status_code == 403)
control("POST", "/rights", {"may_write": False})
refused("403 without the right", HttpResponseError, 403, "AuthorizationFailed",
        lambda: client.servers.begin_stop(GROUP, LIVE).result(60))
control("POST", "/rights", {"may_write": True})
control("POST", "/fault", {"kind": "429", "on": "azure", "for_s": 30})
try:
    client.servers.get(GROUP, LIVE)
    check("429 when throttled", False)
except HttpResponseError as error:
    check("429 when throttled", error.status_code == 429 and "SubscriptionRequestsThrottled" in str(error), error)
    check("with Retry-After", int(error.response.headers.get("Retry-After", "0")) >= 1)
control("DELETE", "/fault/azure")


class Wrong:
    """A credential that nobody gave."""

    def get_token(self, *_scopes, **_options):
        """Made up."""
        return AccessToken("made.up.token", int(time.time()) + 3_600)


refused("401 for a made-up token", ClientAuthenticationError, 401, "InvalidAuthenticationToken",
        lambda: PostgreSQLManagementClient(Wrong(), AZURE["subscription"], **options).servers.get(GROUP, LIVE))

print(f"azure: {passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
