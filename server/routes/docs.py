"""The OpenAPI document to read and try, from files of the server's own."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.routing import Mount
from swagger_ui_bundle import swagger_ui_path

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Cinedex HTTP API</title>
<link rel="stylesheet" href="docs/files/swagger-ui.css">
<link rel="icon" href="docs/files/favicon-32x32.png">
</head>
<body>
<div id="page"></div>
<script src="docs/files/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# The bundled page draws OpenAPI 3.0 only and refuses the number 3.1; what we use of 3.1 it draws well.
START = """"use strict";
fetch("openapi.json")
  .then((answer) => answer.json())
  .then((spec) => SwaggerUIBundle({
    spec: Object.assign(spec, {openapi: "3.0.3"}),
    dom_id: "#page",
    validatorUrl: null,
    defaultModelsExpandDepth: 0,
  }));
"""


def router() -> APIRouter:
    """The page, its script, and the bundle's files."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/docs")
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})

    @routes.get("/docs/start.js")
    async def start() -> Response:
        return Response(START, media_type="text/javascript")

    return routes


def bundle() -> Mount:
    """Swagger UI as its package has it."""
    return Mount("/docs/files", StaticFiles(directory=swagger_ui_path))
