"""The OpenAPI document tells the truth: schemathesis asks for everything that is in it, and for much that is not."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.support.service import make_service

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
CALM = settings(
    max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
"""So many requests of each operation, well-formed and malformed."""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    made = make_service(tmp_path_factory.mktemp("schema"))
    made.app.state.site.hub.stopping = True  # a stream ends at once, where the job has no end either
    return made


def operations(service):
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", service.app)
    schema.config.base_url = "http://localhost"
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
def test_every_operation(service, mode):
    headers = {"Authorization": f"Bearer {service.tokens['*/admin']}"}
    asked, wrong = set(), []
    for operation in operations(service):

        @given(case=operation.as_strategy(generation_mode=mode))
        @CALM
        def check(case):
            case.call_and_validate(headers=headers, checks=CHECKS)
            asked.add(case.operation.label)

        try:
            check()
        except Unsatisfiable:  # nothing of it can be malformed
            continue
        except (AssertionError, ExceptionGroup, schemathesis.errors.SchemathesisError) as error:
            wrong.append(f"{operation.label}: {error}")
    assert not wrong, "\n".join(wrong)
    assert len(asked) >= 15


def test_the_document_is_of_the_api_alone_and_says_what_errors_are(service):
    document = service.client().get("/api/v1/openapi.json").json()
    assert all(path.startswith("/api/v1/") for path in document["paths"])
    for path, item in document["paths"].items():
        for method, operation in item.items():
            told = operation["responses"]
            assert {"401", "403", "422", "503"} <= set(told), (path, method)
            for status in (status for status in told if status[0] in "45"):
                schema = told[status]["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Error"}, (path, method, status)
    assert set(document["components"]["schemas"]["Job"]["required"]) == {"repo", "config", "repro"}
