"""What gnostic's `openapi.v2.Document` holds, read by the protobuf library from a description of the messages."""

import json

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# message -> "name number type", [] for repeated
MESSAGES = {
    "Document": "swagger 1 string,info 2 Info,paths 8 Paths,definitions 9 Definitions,parameters 10 Shared",
    "Info": "title 1 string,version 2 string",
    "Paths": "path 2 []NamedPathItem", "NamedPathItem": "name 1 string,value 2 PathItem",
    "PathItem": "get 2 Operation,put 3 Operation,post 4 Operation,delete 5 Operation,patch 8 Operation",
    "Operation": "operation_id 5 string,parameters 8 []ParametersItem,vendor_extension 13 []NamedAny",
    "ParametersItem": "parameter 1 Parameter,json_reference 2 Reference", "Reference": "_ref 1 string",
    "NamedParameter": "name 1 string,value 2 Parameter", "Shared": "additional_properties 1 []NamedParameter", "Parameter": "body 1 Body,non_body 2 NonBody",
    "Body": "name 2 string,schema 5 Schema", "NonBody": "query 3 Query,path 4 Path",
    "Query": "name 4 string,type 6 string,unique_items 20 bool", "Path": "name 4 string,type 5 string,unique_items 19 bool",
    "Definitions": "additional_properties 1 []NamedSchema", "NamedSchema": "name 1 string,value 2 Schema",
    "Schema": "_ref 1 string,format 2 string,description 4 string,required 19 []string,type 22 TypeItem,items 23 ItemsItem,"
              "properties 25 Definitions,vendor_extension 31 []NamedAny",
    "TypeItem": "value 1 []string", "ItemsItem": "schema 1 []Schema",
    "NamedAny": "name 1 string,value 2 Any", "Any": "yaml 2 string"}


def _pool():
    file = descriptor_pb2.FileDescriptorProto(name="openapi.proto", package="openapi.v2", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields.split(","):
            key, number, kind = field.split()
            made = message.field.add(name=key, number=int(number), label=3 if kind.startswith("[]") else 1)
            kind = kind.removeprefix("[]")
            made.type = {"string": 9, "bool": 8}.get(kind, 11)
            if made.type == 11:
                made.type_name = f".openapi.v2.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def document(raw):
    made = message_factory.GetMessageClass(_pool().FindMessageTypeByName("openapi.v2.Document"))()
    made.ParseFromString(raw)
    return {"swagger": made.swagger, "info": {"title": made.info.title},
            "definitions": {d.name: schema(d.value) for d in made.definitions.additional_properties},
            "parameters": {p.name: parameter(p.value) for p in made.parameters.additional_properties},
            "paths": {p.name: item(p.value) for p in made.paths.path}}


def schema(made):
    return {"$ref": made._ref, "type": list(made.type.value), "required": list(made.required),
            "properties": {p.name: schema(p.value) for p in made.properties.additional_properties},
            "items": schema(made.items.schema[0]) if made.items.schema else None, **extensions(made)}


def item(made):
    return {verb: {"operationId": operation.operation_id,
                   "parameters": [{"$ref": p.json_reference._ref} if p.HasField("json_reference") else parameter(p.parameter)
                                  for p in operation.parameters],
                   **extensions(operation)}
            for verb in ("get", "put", "post", "delete", "patch") if made.HasField(verb)
            for operation in [getattr(made, verb)]}


def parameter(made):
    if made.HasField("body"):
        return {"name": made.body.name, "in": "body"}
    return {"name": made.non_body.query.name or made.non_body.path.name}


def extensions(made):
    return {e.name: json.loads(e.value.yaml) for e in made.vendor_extension}
