"""The aggregation layer: group versions that other API servers answer, named by APIServices.

    aggregator.py    what the server holds: which path is whose, start and end
    priorities.py    order of groups and versions in discovery (pure)
    registration.py  APIServices of what is served here, made and kept (auto-registration)
    availability.py  condition Available of the others: rules (pure) and the controller
    resolver.py      the address of an APIService's Service (pure)
    backend.py       TLS and HTTP towards an extension API server
    proxy.py         one request passed on
    remote.py        their discovery documents, asked for and merged into ours
    openapi.py       their OpenAPI, merged (v2) or passed through (v3)
    trust.py         ConfigMap kube-system/extension-apiserver-authentication

Source: the aggregation layer pages of upstream's documentation.
"""
