"""The dashboard: its sources (TypeScript, `src/`), how they are built, and how they are served.

A client like any other: it knows the public REST and SSE API and holds no rights of its own.
"""
