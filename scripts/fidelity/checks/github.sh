#!/usr/bin/env bash
# GitHub's own command line against the sandbox's GitHub. Argument: the state file.
set -uo pipefail
state=$1
field() { python3 -c 'import json,sys; d=json.load(open(sys.argv[1]))
for k in sys.argv[2].split("."): d=d[k]
print(d)' "$state" "$1"; }
endpoint=$(field github.endpoint)
repository=$(field github.repository)
export GH_HOST=${endpoint#https://} GH_ENTERPRISE_TOKEN SSL_CERT_FILE GH_CONFIG_DIR
export GH_REPO=$GH_HOST/$repository GH_NO_UPDATE_NOTIFIER=1 GH_PROMPT_DISABLED=1 NO_COLOR=1
GH_ENTERPRISE_TOKEN=$(field github.token)
SSL_CERT_FILE=$(field ca_file)
GH_CONFIG_DIR=$(mktemp -d)
export TMPDIR=$GH_CONFIG_DIR
trap 'rm -rf "$GH_CONFIG_DIR"' EXIT

passed=0 failed=0
# judge HOW NAME WANTED COMMAND…: what the command says is WANTED, and it ends as it should. HOW is one of
#   is       it succeeds and prints WANTED and nothing else
#   line     it succeeds and WANTED is a whole line of what it prints
#   says     it succeeds and WANTED is somewhere in what it prints
#   refused  it fails and WANTED is somewhere in its complaint
judge() {
  how=$1 name=$2 wanted=$3
  shift 3
  status=0
  output=$("$@" 2>"$GH_CONFIG_DIR/complaint") || status=$?
  complaint=$(cat "$GH_CONFIG_DIR/complaint")
  good=''
  case $how in
    is) [ "$status" -eq 0 ] && [ "$output" = "$wanted" ] && good=yes ;;
    line) [ "$status" -eq 0 ] && grep -qxF -- "$wanted" <<<"$output" && good=yes ;;
    says) [ "$status" -eq 0 ] && grep -qF -- "$wanted" <<<"$output" && good=yes ;;
    refused) [ "$status" -ne 0 ] && grep -qF -- "$wanted" <<<"$complaint" && good=yes ;;
  esac
  if [ -n "$good" ]; then
    passed=$((passed + 1))
    echo "ok $name"
  else
    failed=$((failed + 1))
    echo "FAILED $name: wanted ($how) '$wanted', got status $status and:" \
      "$(head -c 600 <<<"$output$complaint" | tr '\n' ' ')"
  fi
}
is() { judge is "$@"; }
line() { judge line "$@"; }
says() { judge says "$@"; }
refused() { judge refused "$@"; }

api() { gh api "repos/$repository/$1" "${@:2}"; }
newest() { gh run list --workflow "$1" --json databaseId --jq '.[0].databaseId'; }
# Waits until a run is in one of the given states.
reach() {
  for _ in $(seq 100); do
    now=$(api "actions/runs/$1" --jq .status)
    case " $2 " in *" $now "*) return 0 ;; esac
    sleep 0.1
  done
}
approve() {
  environment=$(api "actions/runs/$1/pending_deployments" --jq '.[0].environment.id')
  printf '{"environment_ids":[%s],"state":"approved","comment":"seen"}' "$environment" |
    api "actions/runs/$1/pending_deployments" -X POST --input - --jq '.[0].environment'
}

is 'who am I' responder gh api user --jq .login
is 'repository with rights' true api '' --jq .permissions.admin
says 'workflow list' 'Restore database from Azure storage' gh workflow list
says 'workflow view --yaml' 'DFE-Digital/github-actions/backup-postgres@master' gh workflow view backup-db.yml --yaml
says 'workflow view by name' 'ID: 70644018' gh workflow view 'Set maintenance mode'
says 'run list has the nightly backup' schedule gh run list --workflow backup-db.yml
refused 'workflow run refuses an unknown input' 'Unexpected inputs provided' gh workflow run backup-db.yml --ref main -f colour=red
refused 'workflow run refuses what is no option' 'not in the list of allowed values' \
  gh workflow run maintenance.yml -f environment=production -f mode=maybe
refused 'workflow run refuses one without the trigger' "Workflow does not have 'workflow_dispatch' trigger" \
  gh workflow run build-and-deploy.yml

gh workflow run maintenance.yml -f environment=production -f mode=enable >/dev/null 2>&1
id=$(newest maintenance.yml)
reach "$id" waiting
is 'a production run waits' waiting gh run list --workflow maintenance.yml --json status --jq '.[0].status'
is 'its pending deployment' production api "actions/runs/$id/pending_deployments" --jq '.[0].environment.name'
gh run watch "$id" --interval 1 >"$GH_CONFIG_DIR/watched" 2>&1 &
watching=$!
for _ in $(seq 50); do
  grep -q 'Set maintenance mode' "$GH_CONFIG_DIR/watched" && break
  sleep 0.1
done
is 'approval' production approve "$id"
ended=0
wait "$watching" || ended=$?
watched() { cat "$GH_CONFIG_DIR/watched" && return "$ended"; }
says 'run watch' '✓ Set maintenance mode' watched
says 'run view' 'Enable or disable maintenance mode' gh run view "$id" --verbose
says 'run view --log' 'Temporary URL: https://refer-serious-misconduct-temp' gh run view "$id" --log
is 'run view --json' success gh run view "$id" --json conclusion --jq .conclusion

gh workflow run postgres-restore.yml -f environment=production >/dev/null 2>&1
id=$(newest postgres-restore.yml)
reach "$id" completed
is 'unconfirmed production is skipped' skipped gh run view "$id" --json conclusion --jq .conclusion

gh workflow run maintenance.yml -f environment=production -f mode=disable >/dev/null 2>&1
id=$(newest maintenance.yml)
reach "$id" waiting
gh run cancel "$id" >/dev/null 2>&1
reach "$id" completed
is 'run cancel' cancelled gh run view "$id" --json conclusion --jq .conclusion
refused 'cancelling twice is refused' 'Cannot cancel a workflow run that is completed' gh run cancel "$id"
gh run rerun "$id" >/dev/null 2>&1
reach "$id" waiting
is 'run rerun' 2 api "actions/runs/$id" --jq .run_attempt
approve "$id" >/dev/null
reach "$id" completed
is 'the second attempt ends well' success gh run view "$id" --json conclusion --jq .conclusion

reviews=branches/main/protection/required_pull_request_reviews
is 'protection' 1 api "$reviews" --jq .required_approving_review_count
is 'freeze by PATCH' 6 api "$reviews" -X PATCH -F required_approving_review_count=6 \
  --jq .required_approving_review_count
refused 'a merge is refused meanwhile' 'At least 6 approving reviews' api pulls/2147/merge -X PUT
is 'thaw' 1 api "$reviews" -X PATCH -F required_approving_review_count=1 --jq .required_approving_review_count
line 'ruleset' pull_request api rulesets/2827787 --jq '.rules[].type'
is 'rules of the branch' 2827787 api rules/branches/main --jq '.[0].ruleset_id'
is 'ruleset PUT' disabled api rulesets/2827787 -X PUT -f enforcement=disabled --jq .enforcement
is 'ruleset PUT back' active api rulesets/2827787 -X PUT -f enforcement=active --jq .enforcement
line 'api --paginate' 55870932 gh api --paginate "repos/$repository/actions/workflows?per_page=3" --jq '.workflows[].id'
is 'graphql' main gh api graphql -f query='query { repository(owner: "DFE-Digital", name: "refer-serious-misconduct") { defaultBranchRef { name } } }' \
  --jq .data.repository.defaultBranchRef.name
refused 'not found' 'HTTP 404' gh api repos/nobody/nothing
echo "gh: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
