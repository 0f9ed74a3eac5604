#!/usr/bin/env python3
"""The chart, by helm itself, and the manifests that come of it, by Kubernetes' schemas.

    tests/deploy/kubernetes_test.py

No cluster is there: what is admitted, scheduled and enforced is not seen here.
"""

import copy
import ipaddress
import pathlib
import sys
import tempfile
import unittest

import yaml
from deploy_case import DEPLOY, helm, npm_tools, run, run_tests, schema, schema_errors

CHART = DEPLOY / "helm" / "airlock"
FULL = ("--set", "egress.enabled=true", "--set", "egress.allow={pypi,.example.com}",
        "--set", "autoscaling.enabled=false", "--set", "runtimeClass.create=true",
        "--set", "networkPolicy.clientNamespaces={agents}", "--set", "compat=",
        "--set", "imagePullSecrets[0].name=registry", "--set", "nodeSelector.pool=sandboxes",
        "--set", "priorityClassName=sandbox-priority", "--set", "tolerations[0].key=sandbox")
# Where nothing of ours is to go: the cluster, the node, the cloud, other protocols' wrappings.
FORBIDDEN = ("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1",
             "100.64.0.1", "127.0.0.1", "169.254.169.254", "0.0.0.1", "224.0.0.1",
             "255.255.255.255", "198.18.0.1", "::1", "fe80::1", "fc00::1", "fd00:ec2::254",
             "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1", "2001::1")
PUBLIC = ("1.1.1.1", "140.82.112.3", "172.15.255.255", "172.32.0.1", "2606:4700::1111")


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def rendered(*options):
    return documents(helm("template", "airlock", CHART, "--namespace", "airlock",
                          *options).stdout)


def errors_of(manifest):
    known = schema("kubernetes")
    kind = f"{manifest.get('apiVersion')} {manifest.get('kind')}"
    if kind not in known["kinds"]:
        return [f"there is no {kind}"]
    reference = f"#/definitions/{known['kinds'][kind]}"
    return schema_errors(manifest, {"$ref": reference, "definitions": known["definitions"]})


def only(manifests, kind, name=None):
    found = [manifest for manifest in manifests if manifest["kind"] == kind
             and name in (None, manifest["metadata"]["name"])]
    assert len(found) == 1, (kind, name, found)
    return found[0]


class Chart(unittest.TestCase):
    def test_helm_finds_nothing_to_say(self):
        self.assertIn("0 chart(s) failed", helm("lint", "--strict", CHART).stdout)
        helm("lint", "--strict", CHART, *FULL)

    def test_values_that_nobody_knows_or_that_cannot_be_are_refused(self):
        for option in ("replica=3", "egress.allowed={pypi}", "replicas=0", "compat=hone",
                       "terminationGracePeriodSeconds=30", "resources.limits.memory=lots"):
            done = helm("template", "airlock", CHART, "--set", option, check=False)
            self.assertNotEqual(done.returncode, 0, option)
            self.assertIn(option.split("=")[0].split(".")[0], done.stderr)

    def test_the_plain_manifests_are_what_the_chart_gives(self):
        with tempfile.TemporaryDirectory() as folder:
            run(DEPLOY / "kubernetes" / "render.sh", folder,
                env={"PATH": "/usr/bin:/bin", "HOME": folder,
                     "HELM": str(npm_tools() / "helm" / "helm")})
            made = sorted(path.name for path in pathlib.Path(folder).glob("*.yaml"))
            self.assertEqual(made, ["airlock.yaml", "swissbrain.yaml"])
            for name in made:
                self.assertEqual((pathlib.Path(folder) / name).read_text(encoding="utf8"),
                                 (DEPLOY / "kubernetes" / name).read_text(encoding="utf8"),
                                 "run deploy/kubernetes/render.sh")


class Schemas(unittest.TestCase):
    def variants(self):
        for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
            yield path.name, documents(path.read_text(encoding="utf8"))
        yield "full", rendered(*FULL)

    def test_every_manifest_is_valid(self):
        kinds = set()
        for name, manifests in self.variants():
            for manifest in manifests:
                self.assertEqual(errors_of(manifest), [], (name, manifest["kind"]))
                kinds.add(manifest["kind"])
        self.assertEqual(kinds, {kind.split(" ")[1] for kind in schema("kubernetes")["kinds"]})

    def test_a_wrong_name_type_or_version_is_found(self):
        deployment = only(rendered(), "Deployment")
        for change in (
                lambda pod: pod.update(runtimeClassname="gvisor"),
                lambda pod: pod["containers"][0]["securityContext"].update(privileged="no"),
                lambda pod: pod["containers"][0].pop("name"),
                lambda pod: pod["volumes"][0].update(emptyDirs={}),
                lambda pod: pod["containers"][0]["ports"][0].update(containerPort="8000")):
            broken = copy.deepcopy(deployment)
            change(broken["spec"]["template"]["spec"])
            self.assertNotEqual(errors_of(broken), [])
        self.assertEqual(len(errors_of(deployment | {"apiVersion": "apps/v1beta1"})), 1)


class Pod(unittest.TestCase):
    """contracts of the executor: what a pod is, may and gets."""

    def setUp(self):
        self.manifests = rendered()
        self.deployment = only(self.manifests, "Deployment")
        self.pod = self.deployment["spec"]["template"]["spec"]
        self.container, = self.pod["containers"]

    def test_it_has_no_privilege(self):
        self.assertEqual(self.pod["runtimeClassName"], "gvisor")
        self.assertEqual(self.pod["securityContext"], {
            "runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"}})
        self.assertEqual(self.container["securityContext"], {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]}})
        for what in ("hostNetwork", "hostPID", "hostIPC", "initContainers"):
            self.assertNotIn(what, self.pod)
        self.assertTrue(all(set(volume) == {"name", "emptyDir"} for volume in self.pod["volumes"]))

    def test_it_has_no_token_of_the_cluster(self):
        self.assertIs(self.pod["automountServiceAccountToken"], False)
        account = only(self.manifests, "ServiceAccount", self.pod["serviceAccountName"])
        self.assertIs(account["automountServiceAccountToken"], False)

    def test_what_it_gets(self):
        self.assertEqual(self.container["resources"], {
            "requests": {"cpu": "250m", "memory": "512Mi", "ephemeral-storage": "1Gi"},
            "limits": {"cpu": "1000m", "memory": "2Gi", "ephemeral-storage": "5Gi"}})
        sizes = {volume["name"]: volume["emptyDir"]["sizeLimit"] for volume in self.pod["volumes"]}
        paths = {mount["mountPath"]: sizes[mount["name"]]
                 for mount in self.container["volumeMounts"]}
        self.assertEqual(paths, {"/tmp": "1Gi", "/workspace": "10Gi", "/app/cache": "2Gi"})

    def test_its_probes(self):
        def figures(probe):
            return (probe["httpGet"]["path"], probe["initialDelaySeconds"],
                    probe["periodSeconds"], probe["timeoutSeconds"], probe["failureThreshold"])
        self.assertEqual(figures(self.container["startupProbe"]), ("/health", 0, 5, 3, 12))
        self.assertEqual(figures(self.container["livenessProbe"]), ("/health", 30, 10, 5, 3))
        self.assertEqual(figures(self.container["readinessProbe"]), ("/ready", 10, 5, 3, 3))

    def test_it_ends_after_what_it_runs(self):
        pause = int(self.container["lifecycle"]["preStop"]["exec"]["command"][1])
        self.assertEqual(pause, 15)
        self.assertGreaterEqual(self.pod["terminationGracePeriodSeconds"], pause + 30)
        self.assertEqual(self.deployment["spec"]["strategy"]["rollingUpdate"],
                         {"maxSurge": 1, "maxUnavailable": 0})

    def test_selectors_and_ports_meet(self):
        labels = self.deployment["spec"]["template"]["metadata"]["labels"]
        ports = {port["name"] for port in self.container["ports"]}
        selectors = [self.deployment["spec"]["selector"]["matchLabels"],
                     only(self.manifests, "Service")["spec"]["selector"],
                     only(self.manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]]
        selectors += [policy["spec"]["podSelector"]["matchLabels"] for policy in self.manifests
                      if policy["kind"] == "NetworkPolicy"]
        for selector in selectors:
            self.assertTrue(selector and selector.items() <= labels.items(), selector)
        for port in only(self.manifests, "Service")["spec"]["ports"]:
            self.assertIn(port["targetPort"], ports)

    def test_there_are_enough_of_them(self):
        scaler = only(self.manifests, "HorizontalPodAutoscaler")["spec"]
        self.assertEqual((scaler["minReplicas"], scaler["maxReplicas"]), (3, 10))
        self.assertEqual({metric["resource"]["name"]:
                          metric["resource"]["target"]["averageUtilization"]
                          for metric in scaler["metrics"]}, {"cpu": 70, "memory": 80})
        self.assertEqual(scaler["scaleTargetRef"]["name"], self.deployment["metadata"]["name"])
        # Two that set the number of replicas would undo one another.
        self.assertNotIn("replicas", self.deployment["spec"])
        self.assertEqual(only(rendered(*FULL), "Deployment")["spec"]["replicas"], 3)
        self.assertEqual(only(self.manifests, "PodDisruptionBudget")["spec"]["minAvailable"], 2)

    def test_the_executors_names(self):
        manifests = rendered("--values", CHART / "values-swissbrain.yaml")
        deployment = only(manifests, "Deployment", "sandbox-executor")
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(container["name"], "sandbox-executor")
        self.assertEqual(deployment["spec"]["template"]["metadata"]["labels"]["app"],
                         "sandbox-executor")
        self.assertEqual(container["args"], ["--compat", "swissbrain"])


class Network(unittest.TestCase):
    """The policies as Kubernetes defines them: what selects a pod adds up, the rest is refused."""

    LABELS = {"kubernetes.io/metadata.name": "airlock"}

    def policies(self, *options):
        return [policy["spec"] for policy in rendered(*options)
                if policy["kind"] == "NetworkPolicy"]

    @staticmethod
    def selects(peer, namespace, labels):
        """Whether a peer is a pod with these labels in this namespace; ours is `airlock`."""
        if "ipBlock" in peer:
            return False
        wanted = peer.get("namespaceSelector", {}).get(
            "matchLabels", {} if "namespaceSelector" in peer else {
                "kubernetes.io/metadata.name": "airlock"})
        return (wanted.items() <= {"kubernetes.io/metadata.name": namespace}.items()
                and peer.get("podSelector", {}).get("matchLabels", {}).items() <= labels.items())

    def may_come(self, policies, namespace, labels, port):
        return any(not rule.get("from") or any(self.selects(peer, namespace, labels)
                                               for peer in rule["from"])
                   for spec in policies if "Ingress" in spec["policyTypes"]
                   for rule in spec.get("ingress", [])
                   if port in [entry["port"] for entry in rule.get("ports", [{"port": port}])])

    @staticmethod
    def may_reach(policies, address, port, protocol="TCP"):
        address = ipaddress.ip_address(address)

        def inside(block):
            return address in ipaddress.ip_network(block)
        return any(
            inside(peer["ipBlock"]["cidr"])
            and not any(inside(block) for block in peer["ipBlock"].get("except", []))
            for spec in policies if "Egress" in spec["policyTypes"]
            for rule in spec.get("egress", [])
            if {"port": port, "protocol": protocol} in rule["ports"]
            for peer in rule["to"] if "ipBlock" in peer)

    def test_both_ways_are_closed_to_begin_with(self):
        deny = self.policies()[0]
        self.assertEqual(set(deny), {"podSelector", "policyTypes"})
        self.assertEqual(set(deny["policyTypes"]), {"Ingress", "Egress"})

    def test_only_clients_and_the_monitoring_come_in(self):
        policies = self.policies()
        client = {"airlock-client": "true"}
        self.assertTrue(self.may_come(policies, "airlock", client, "http"))
        self.assertTrue(self.may_come(policies, "monitoring", {}, "metrics"))
        for namespace, labels, port in (
                ("airlock", {}, "http"), ("airlock", client, "metrics"), ("agents", client, "http"),
                ("monitoring", {}, "http"), ("monitoring", client, "http"),
                ("agents", {}, "metrics")):
            self.assertFalse(self.may_come(policies, namespace, labels, port), (namespace, port))
        full = self.policies(*FULL)
        self.assertTrue(self.may_come(full, "agents", client, "http"))
        self.assertFalse(self.may_come(full, "agents", {}, "http"))

    def test_nothing_goes_out_by_default(self):
        self.assertEqual([spec.get("egress") for spec in self.policies()], [None, None])

    def test_the_gateway_reaches_names_and_public_addresses_only(self):
        policies = self.policies(*FULL)
        for address in PUBLIC:
            self.assertTrue(self.may_reach(policies, address, 443), address)
            for port, protocol in ((80, "TCP"), (22, "TCP"), (53, "UDP"), (443, "UDP")):
                self.assertFalse(self.may_reach(policies, address, port, protocol), address)
        for address in FORBIDDEN:
            self.assertFalse(self.may_reach(policies, address, 443), address)
        names, = [rule for spec in policies for rule in spec.get("egress", [])
                  if not any("ipBlock" in peer for peer in rule["to"])]
        self.assertEqual({(entry["port"], entry["protocol"]) for entry in names["ports"]},
                         {(53, "UDP"), (53, "TCP")})
        peer, = names["to"]
        self.assertTrue(self.selects(peer, "kube-system", {"k8s-app": "kube-dns"}))
        self.assertFalse(self.selects(peer, "kube-system", {"app": "other"}))
        self.assertFalse(self.selects(peer, "airlock", {"k8s-app": "kube-dns"}))

    def test_exceptions_lie_within_their_block(self):
        # The API server refuses a policy in which one does not.
        for spec in self.policies(*FULL):
            for rule in spec.get("egress", []):
                for block in (peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer):
                    whole = ipaddress.ip_network(block["cidr"])
                    for part in block["except"]:
                        self.assertTrue(ipaddress.ip_network(part).subnet_of(whole), part)


class Release(unittest.TestCase):
    def test_the_chart_is_of_this_version(self):
        project = (DEPLOY.parent / "CMakeLists.txt").read_text(encoding="utf8")
        version = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf8"))["appVersion"]
        self.assertIn(f"project(airlock VERSION {version} ", project)


if __name__ == "__main__":
    sys.exit(run_tests("__main__"))
