"""kube-controller-manager's clients: its own user, and the service accounts that its controllers act as."""

from tests.clients.go_client import GoClient

MANAGER = "kube-controller-manager"
ACCOUNTS = "/api/v1/namespaces/kube-system/serviceaccounts"


class Manager:
    """`as_(controller)` is what --use-service-account-credentials gives a controller: an account that is made where it is
    missing, and a token of it."""

    def __init__(self, served, folders):
        self._served, self._folders, self._made = served, folders, {}
        self.root = self.client("", f"system:{MANAGER}")

    def client(self, part, user="", *groups, token=""):
        made = GoClient(self._served, f"{MANAGER}/{part}", user, *groups, token=token, folder=self._folders.mktemp("go"))
        self._made[part] = made
        return made

    def as_(self, controller):
        name = f"system:serviceaccount:kube-system:{controller}"
        if name not in self._made:
            self.root.get("/api/v1/namespaces/kube-system")
            if self.root.raw("GET", f"{ACCOUNTS}/{controller}").status == 404:
                self.root.post(ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
                    "name": controller, "namespace": "kube-system"}})
            token = self.root.post(f"{ACCOUNTS}/{controller}/token", {
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {"expirationSeconds": 3600}})
            self.client(name, token=token["status"]["token"])
        return self._made[name]

    def close(self):
        for client in self._made.values():
            client.close()


def owner(obj, **more):
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"],
            "controller": True, "blockOwnerDeletion": True, **more}


def template(**meta):
    return {"metadata": {"labels": {"app": "web"}, **meta}, "spec": {"containers": [{"name": "main", "image": "example/web:1"}]}}


def workload(api_version, kind, **spec):
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "web", "labels": {"app": "web"}},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template(), **spec}}
