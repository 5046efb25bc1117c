// @octokit/rest against the sandbox's GitHub. Argument: the state file. NODE_EXTRA_CA_CERTS must name its authority.
import { readFileSync } from "node:fs";
import { Octokit } from "@octokit/rest";

const state = JSON.parse(readFileSync(process.argv[2], "utf8"));
const [owner, repo] = state.github.repository.split("/");
const octokit = new Octokit({
  baseUrl: state.github.endpoint,
  auth: state.github.token,
  log: { debug() {}, info() {}, warn() {}, error() {} },
});
const at = { owner, repo };
let passed = 0;
let failed = 0;

async function check(name, body) {
  try {
    const problem = await body();
    if (problem) throw new Error(problem);
    passed += 1;
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${String(error.message).slice(0, 400)}`);
  }
}
const want = (got, wanted) =>
  got === wanted ? null : `wanted ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`;
async function refused(promise, status, words) {
  try {
    await promise;
  } catch (error) {
    if (error.status === status && error.message.includes(words)) return null;
    return `wanted ${status} ${words}, got ${error.status} ${error.message}`;
  }
  return "it was not refused";
}
async function reach(run_id, status) {
  for (let i = 0; i < 200; i += 1) {
    const { data } = await octokit.rest.actions.getWorkflowRun({ ...at, run_id });
    if (data.status === status) return data;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`run ${run_id} is never ${status}`);
}

const { actions, repos } = octokit.rest;
await check("repository", async () => want((await repos.get(at)).data.default_branch, "main"));
await check("authenticated user", async () =>
  want((await octokit.rest.users.getAuthenticated()).data.login, "responder"));
await check("paginate workflows", async () => {
  const all = await octokit.paginate(actions.listRepoWorkflows, { ...at, per_page: 2 });
  return want(all.length, 7);
});
await check("contents", async () => {
  const { data } = await repos.getContent({ ...at, path: ".github/workflows/postgres-ptr.yml" });
  const text = Buffer.from(data.content, data.encoding).toString();
  return text.includes("DFE-Digital/github-actions/ptr-postgres@master") ? null : text.slice(0, 100);
});
let run;
await check("dispatch with run details", async () => {
  const { status, data } = await actions.createWorkflowDispatch({
    ...at,
    workflow_id: "maintenance.yml",
    ref: "main",
    inputs: { environment: "production", mode: "enable" },
    return_run_details: true,
  });
  run = data.workflow_run_id;
  return want(status, 200) ?? (Number.isInteger(run) ? null : "no run number");
});
await check("dispatch without them", async () => {
  const { status } = await actions.createWorkflowDispatch({
    ...at,
    workflow_id: "backup-db.yml",
    ref: "main",
    inputs: { environment: "test" },
  });
  return want(status, 204);
});
await check("pending deployment", async () => {
  await reach(run, "waiting");
  const { data } = await actions.getPendingDeploymentsForRun({ ...at, run_id: run });
  return want(data[0].environment.name, "production") ?? want(data[0].current_user_can_approve, true);
});
await check("approval", async () => {
  const { data: pending } = await actions.getPendingDeploymentsForRun({ ...at, run_id: run });
  await actions.reviewPendingDeploymentsForRun({
    ...at,
    run_id: run,
    environment_ids: [pending[0].environment.id],
    state: "approved",
    comment: "seen",
  });
  return want((await reach(run, "completed")).conclusion, "success");
});
await check("review history", async () => {
  const { data } = await actions.getReviewsForRun({ ...at, run_id: run });
  return want(data[0].state, "approved");
});
let job;
await check("jobs and steps", async () => {
  const { data } = await actions.listJobsForWorkflowRun({ ...at, run_id: run, filter: "latest" });
  job = data.jobs[0];
  return want(data.total_count, 1) ?? want(job.steps[0].name, "Set up job");
});
await check("job log through the redirect", async () => {
  const { data } = await actions.downloadJobLogsForWorkflowRun({ ...at, job_id: job.id });
  const text = typeof data === "string" ? data : Buffer.from(data).toString();
  return /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z Temporary URL/.test(text) ? null : text.slice(0, 200);
});
await check("run logs are a zip", async () => {
  const { data } = await actions.downloadWorkflowRunLogs({ ...at, run_id: run });
  return want(Buffer.from(data).subarray(0, 2).toString(), "PK");
});
await check("cancel of a finished run is 409", () =>
  refused(actions.cancelWorkflowRun({ ...at, run_id: run }), 409, "Cannot cancel"));
await check("a choice outside its options is 422", () =>
  refused(
    actions.createWorkflowDispatch({
      ...at,
      workflow_id: "maintenance.yml",
      ref: "main",
      inputs: { environment: "moon", mode: "enable" },
    }),
    422,
    "not in the list of allowed values",
  ));
await check("environments with reviewers", async () => {
  const { data } = await repos.getAllEnvironments(at);
  const production = data.environments.find((e) => e.name === "production");
  return want(production.protection_rules.some((r) => r.type === "required_reviewers"), true);
});
await check("rulesets", async () => {
  const { data } = await repos.getRepoRulesets(at);
  const whole = await repos.getRepoRuleset({ ...at, ruleset_id: data[0].id });
  return want("rules" in data[0], false) ?? want(whole.data.bypass_actors.length, 1);
});
await check("ruleset created, changed and deleted", async () => {
  const rules = [
    {
      type: "pull_request",
      parameters: {
        dismiss_stale_reviews_on_push: false,
        require_code_owner_review: false,
        require_last_push_approval: false,
        required_approving_review_count: 10,
        required_review_thread_resolution: false,
      },
    },
  ];
  const conditions = { ref_name: { include: ["refs/heads/main"], exclude: [] } };
  const { data } = await repos.createRepoRuleset({ ...at, name: "Freeze", enforcement: "active", rules, conditions });
  const frozen = await repos.getBranchRules({ ...at, branch: "main" });
  const off = await repos.updateRepoRuleset({ ...at, ruleset_id: data.id, enforcement: "disabled" });
  await repos.deleteRepoRuleset({ ...at, ruleset_id: data.id });
  return (
    want(frozen.data.some((r) => r.ruleset_id === data.id), true) ?? want(off.data.enforcement, "disabled")
  );
});
await check("protection replaced whole and read back", async () => {
  const before = await repos.getBranchProtection({ ...at, branch: "main" });
  const reviews = { required_approving_review_count: 6 };
  await repos.updateBranchProtection({
    ...at,
    branch: "main",
    required_status_checks: null,
    enforce_admins: true,
    required_pull_request_reviews: reviews,
    restrictions: null,
    lock_branch: true,
  });
  const locked = await repos.getBranchProtection({ ...at, branch: "main" });
  const merge = await refused(octokit.rest.pulls.merge({ ...at, pull_number: 2147 }), 405, "locked");
  const count = before.data.required_pull_request_reviews.required_approving_review_count;
  await repos.updateBranchProtection({
    ...at,
    branch: "main",
    required_status_checks: { strict: false, contexts: before.data.required_status_checks.contexts },
    enforce_admins: before.data.enforce_admins.enabled,
    required_pull_request_reviews: { required_approving_review_count: count },
    restrictions: null,
  });
  return merge ?? want(locked.data.lock_branch.enabled, true) ?? want(locked.data.enforce_admins.enabled, true);
});
await check("comments", async () => {
  await octokit.rest.issues.createComment({ ...at, issue_number: 12, body: "Maintenance is on." });
  const { data } = await octokit.rest.issues.listComments({ ...at, issue_number: 12 });
  return want(data.at(-1).body, "Maintenance is on.");
});
await check("an entity tag spares the limit", async () => {
  const first = await octokit.request("GET /repos/{owner}/{repo}/branches/main", at);
  try {
    await octokit.request("GET /repos/{owner}/{repo}/branches/main", {
      ...at,
      headers: { "if-none-match": first.headers.etag },
    });
  } catch (error) {
    const used = error.response.headers["x-ratelimit-used"];
    return want(error.status, 304) ?? want(used, first.headers["x-ratelimit-used"]);
  }
  return "it was sent again";
});
await check("bad credentials", () =>
  refused(new Octokit({ baseUrl: state.github.endpoint, auth: "wrong" }).rest.repos.get(at), 401, "Bad credentials"));
await check("maintenance ends", async () => {
  const { data } = await actions.createWorkflowDispatch({
    ...at,
    workflow_id: "maintenance.yml",
    ref: "main",
    inputs: { environment: "production", mode: "disable" },
    return_run_details: true,
  });
  await reach(data.workflow_run_id, "waiting");
  const pending = await actions.getPendingDeploymentsForRun({ ...at, run_id: data.workflow_run_id });
  await actions.reviewPendingDeploymentsForRun({
    ...at,
    run_id: data.workflow_run_id,
    environment_ids: [pending.data[0].environment.id],
    state: "approved",
    comment: "done",
  });
  return want((await reach(data.workflow_run_id, "completed")).conclusion, "success");
});
console.log(`octokit: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
