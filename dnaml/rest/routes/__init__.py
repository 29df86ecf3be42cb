"""The routes of the service, one module a group; each declares scope, bodies, answers and refusals beside itself."""
