"""What goes over the wire."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from dashboard.permissions import ACTIONS

ActivityKind = Literal["time", "meeting", "review", "comment", "deploy", "upload"]


class Person(BaseModel):
    """A user as others see them."""

    id: int
    name: str
    initials: str
    title: str
    email: str
    avatar_url: str
    profile_url: str


class ProjectRef(BaseModel):
    """A project where it is only mentioned."""

    id: int
    name: str
    slug: str
    color: str
    client: str
    status: str
    icon_url: str
    url: str
    board_url: str
    api_url: str


class Moment(BaseModel):
    """A point in time with everything that the page shows of it."""

    utc: datetime
    local: datetime
    date: str
    time: str
    day: str
    age: str


class Money(BaseModel):
    """An exact amount and how to show it. Amounts are strings on the wire."""

    amount: Decimal
    currency: str
    text: str


class ActivityItem(BaseModel):
    """An entry of the activity feed."""

    model_config = ConfigDict(str_strip_whitespace=True)

    id: int
    kind: ActivityKind
    title: str = Field(min_length=1, max_length=200)
    summary: str
    tags: list[str]
    actor: Person
    project: ProjectRef
    created: Moment
    minutes: int
    duration: str
    rate_cents: int
    discount: int = Field(ge=0, le=100)
    billable: bool
    amount: Money
    points: int
    can: list[str]
    links: dict[str, str]

    @field_validator("tags")
    @classmethod
    def _known_shape(cls, tags: list[str]) -> list[str]:
        return [tag.strip().lower() for tag in tags if tag.strip()]

    @field_validator("can")
    @classmethod
    def _known_actions(cls, can: list[str]) -> list[str]:
        for action in can:
            if action not in ACTIONS:
                raise ValueError(f"unknown action {action}")
        return can


class NewActivity(BaseModel):
    """Body of POST /api/activity."""

    project_id: int
    kind: ActivityKind = "time"
    title: str = Field(min_length=1, max_length=200)
    summary: str = ""
    tags: list[str] = []
    minutes: int = Field(default=0, ge=-1440, le=1440)
    rate_cents: int = Field(default=0, ge=0, le=100_000)
    discount: int = Field(default=0, ge=0, le=100)
    points: int = Field(default=0, ge=0, le=50)


class NewComment(BaseModel):
    """Body of POST /api/projects/{id}/comments."""

    body: str = Field(min_length=1, max_length=4000)


class ProjectPatch(BaseModel):
    """Body of PATCH /api/projects/{id}; what is missing stays."""

    name: str | None = Field(default=None, min_length=1, max_length=80)
    color: str | None = Field(default=None, pattern=r"^#[0-9a-f]{6}$")
    status: Literal["active", "paused", "archived"] | None = None


class ProfilePatch(BaseModel):
    """Body of PATCH /api/users/{id}; what is missing stays."""

    name: str | None = Field(default=None, min_length=1, max_length=80)
    title: str | None = Field(default=None, max_length=80)


class PreferenceValues(BaseModel):
    """Preferences as set by a user or, as defaults for its members, by a team. Unset keys are inherited."""

    model_config = ConfigDict(extra="forbid")

    theme: Literal["light", "dark", "system"] | None = None
    timezone: str | None = None
    date_style: Literal["iso", "eu", "us"] | None = None
    time_style: Literal["24h", "12h"] | None = None
    week_start: Literal["monday", "sunday"] | None = None
    density: Literal["cosy", "compact"] | None = None
    weekly_goal: int | None = Field(default=None, ge=1, le=1000)
    hidden_widgets: list[str] | None = None

    def set_values(self) -> dict[str, Any]:
        """Only what was given."""
        return self.model_dump(exclude_none=True)
