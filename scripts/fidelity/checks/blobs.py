"""azure-storage-blob against the sandbox's blob storage. Argument: the state file."""

import gzip
import json
import os
import sys
import time

from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential
from azure.storage.blob import BlobBlock, BlobServiceClient, ContentSettings

with open(sys.argv[1], encoding="utf-8") as file:
    STATE = json.load(file)
CA = STATE["ca_file"]
os.environ["REQUESTS_CA_BUNDLE"] = CA
PASSED, FAILED = [], []


def check(name):
    def run(body):
        try:
            body()
            PASSED.append(name)
            print(f"ok {name}")
        except Exception as error:  # every failure is a finding
            FAILED.append(name)
            print(f"FAILED {name}: {type(error).__name__}: {str(error)[:300]!r}")

    return run


def refused(kind, code, body):
    try:
        body()
    except kind as error:
        got = getattr(error, "error_code", None)
        got = getattr(got, "value", got)
        assert got == code, f"wanted {code}, got {got}: {error}"
        return
    raise AssertionError(f"it was not refused with {code}")


azure = STATE["azure"]
credential = ClientSecretCredential(
    azure["tenant"],
    azure["client_id"],
    azure["client_secret"],
    authority=azure["endpoint"],
    disable_instance_discovery=True,
    connection_verify=CA,
)
account = BlobServiceClient(
    STATE["blobs"]["endpoint"],
    credential=credential,
    connection_verify=CA,
    retry_total=0,
    max_single_put_size=64 * 1024,
    max_block_size=32 * 1024,
)
backups = account.get_container_client(STATE["blobs"]["container"])


@check("list containers")
def _():
    assert [c.name for c in account.list_containers()] == ["database-backup"]


@check("container properties: a policy is locked on it")
def _():
    assert backups.get_container_properties().has_immutability_policy


@check("the nightly backup of today is a real dump")
def _():
    deadline = time.monotonic() + 60
    names = []
    while not names and time.monotonic() < deadline:  # it is taken in the background at the start
        names = [b.name for b in backups.list_blobs(name_starts_with="rsm_pd_2")]
        time.sleep(0.2)
    name = names[0]
    text = gzip.decompress(backups.download_blob(name).readall()).decode()
    assert "PostgreSQL database dump complete" in text and "COPY public.referrals" in text


@check("upload, with its digest")
def _():
    done = backups.upload_blob("check_one.sql.gz", b"one", metadata={"by": "fidelity"})
    properties = done.get_blob_properties()
    assert properties.size == 3 and properties.metadata == {"by": "fidelity"}
    assert bytes(properties.content_settings.content_md5).hex() == "f97c5d29941bfb1b2fdab0874906ab82"


@check("uploading an existing name is refused")
def _():
    refused(ResourceExistsError, "BlobAlreadyExists", lambda: backups.upload_blob("check_one.sql.gz", b"two"))


@check("overwriting is refused by the policy")
def _():
    refused(
        HttpResponseError,
        "BlobImmutableDueToPolicy",
        lambda: backups.upload_blob("check_one.sql.gz", b"two", overwrite=True),
    )


@check("deleting is refused by the policy")
def _():
    refused(HttpResponseError, "BlobImmutableDueToPolicy", lambda: backups.delete_blob("check_one.sql.gz"))


@check("a large upload goes in blocks and comes back")
def _():
    data = os.urandom(300 * 1024)
    backups.upload_blob("check_large.bin", data)
    assert backups.download_blob("check_large.bin").readall() == data


@check("staged blocks in the order of the list")
def _():
    blob = backups.get_blob_client("check_blocks.bin")
    blob.stage_block("b", b"world")
    blob.stage_block("a", b"hello ")
    blob.commit_block_list([BlobBlock("a"), BlobBlock("b")])
    assert blob.download_blob().readall() == b"hello world"


@check("a block that was never staged is refused")
def _():
    blob = backups.get_blob_client("check_never.bin")
    refused(HttpResponseError, "InvalidBlockList", lambda: blob.commit_block_list([BlobBlock("z")]))


@check("a range")
def _():
    assert backups.download_blob("check_blocks.bin", offset=6, length=3).readall() == b"wor"


@check("pages with a marker")
def _():
    pages = list(backups.list_blobs(name_starts_with="check_", results_per_page=2).by_page())
    names = [[b.name for b in page] for page in pages]
    assert names == [["check_blocks.bin", "check_large.bin"], ["check_one.sql.gz"]], names


@check("a page goes on from its token")
def _():
    first = backups.list_blobs(name_starts_with="check_", results_per_page=2).by_page()
    next(first)
    rest = backups.list_blobs(name_starts_with="check_").by_page(continuation_token=first.continuation_token)
    assert [b.name for b in next(rest)] == ["check_one.sql.gz"]


@check("metadata only when asked for")
def _():
    asked = next(iter(backups.list_blobs(name_starts_with="check_one", include=["metadata"])))
    plain = next(iter(backups.list_blobs(name_starts_with="check_one")))
    assert asked.metadata == {"by": "fidelity"} and not plain.metadata


@check("folders by delimiter")
def _():
    scratch = account.create_container("scratch")
    for name in ["a.txt", "old/b.txt", "old/c & d.txt"]:
        scratch.upload_blob(name, b"x")
    assert sorted(b.name for b in scratch.walk_blobs()) == ["a.txt", "old/"]
    assert [b.name for b in scratch.walk_blobs("old/")] == ["old/b.txt", "old/c & d.txt"]


@check("without a policy blobs are replaced and deleted")
def _():
    scratch = account.get_container_client("scratch")
    scratch.upload_blob("a.txt", b"new", overwrite=True, content_settings=ContentSettings("text/plain"))
    blob = scratch.get_blob_client("a.txt")
    assert blob.download_blob().readall() == b"new"
    assert blob.get_blob_properties().content_settings.content_type == "text/plain"
    blob.delete_blob()
    assert not blob.exists()


@check("an entity tag that does not match")
def _():
    from azure.core import MatchConditions

    blob = backups.get_blob_client("check_one.sql.gz")
    refused(
        ResourceModifiedError,
        "ConditionNotMet",
        lambda: blob.download_blob(etag='"0x0"', match_condition=MatchConditions.IfNotModified),
    )


@check("no such blob, no such container")
def _():
    refused(ResourceNotFoundError, "BlobNotFound", lambda: backups.download_blob("nothing").readall())
    nowhere = account.get_container_client("nowhere")
    refused(ResourceNotFoundError, "ContainerNotFound", lambda: list(nowhere.list_blobs()))


@check("a token for another audience is refused")
def _():
    class Wrong:
        def get_token(self, *_scopes, **_):
            return credential.get_token("https://management.azure.com/.default")

    other = BlobServiceClient(STATE["blobs"]["endpoint"], credential=Wrong(), connection_verify=CA, retry_total=0)
    container = other.get_container_client("database-backup")
    refused(ClientAuthenticationError, "InvalidAuthenticationInfo", lambda: list(container.list_blobs()))


@check("account keys are not permitted")
def _():
    key = BlobServiceClient(
        STATE["blobs"]["endpoint"],
        credential={"account_name": "s189p01rsmdbbkppdsa", "account_key": "a2V5"},
        connection_verify=CA,
        retry_total=0,
    )
    container = key.get_container_client("database-backup")
    refused(HttpResponseError, "KeyBasedAuthenticationNotPermitted", lambda: list(container.list_blobs()))


print(f"azure-storage-blob: {len(PASSED)} passed, {len(FAILED)} failed")
sys.exit(1 if FAILED else 0)
