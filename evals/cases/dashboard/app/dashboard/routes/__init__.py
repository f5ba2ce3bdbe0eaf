"""HTTP routes, a module per part of the product."""

from fastapi import APIRouter

from dashboard.routes import activity, dashboard, notifications, pages, preferences, projects, reports, search, teams

ROUTERS: tuple[APIRouter, ...] = (
    dashboard.router,
    activity.router,
    projects.router,
    reports.router,
    notifications.router,
    preferences.router,
    search.router,
    teams.router,
    pages.router,
)
