"""Tables as SQLAlchemy models. The schema itself is in migrations/."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """Registry of all tables."""


class Team(Base):
    """A customer's team; `settings` are the defaults that its members inherit."""

    __tablename__ = "teams"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    plan: Mapped[str] = mapped_column(String(20))
    currency: Mapped[str] = mapped_column(String(3))
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime]

    members: Mapped[list["User"]] = relationship(back_populates="team", order_by="User.joined_at, User.id")
    projects: Mapped[list["Project"]] = relationship(back_populates="team", order_by="Project.position, Project.id")


class User(Base):
    """A person with a seat in a team."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))
    name: Mapped[str] = mapped_column(String(80))
    email: Mapped[str] = mapped_column(String(120), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(String(80))
    joined_at: Mapped[datetime]

    team: Mapped[Team] = relationship(back_populates="members")
    preference: Mapped["Preference | None"] = relationship(back_populates="user")
    widgets: Mapped[list["Widget"]] = relationship(back_populates="user", order_by="Widget.position, Widget.id")


class Preference(Base):
    """What a user has set for themselves; whatever is missing comes from the team."""

    __tablename__ = "preferences"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    values: Mapped[dict[str, Any]] = mapped_column(JSON)
    updated_at: Mapped[datetime]

    user: Mapped[User] = relationship(back_populates="preference")


class Project(Base):
    """A piece of work for a client."""

    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))
    name: Mapped[str] = mapped_column(String(80))
    slug: Mapped[str] = mapped_column(String(80))
    client: Mapped[str] = mapped_column(String(80))
    color: Mapped[str] = mapped_column(String(9))
    status: Mapped[str] = mapped_column(String(20))
    position: Mapped[int]
    budget_cents: Mapped[int]

    team: Mapped[Team] = relationship(back_populates="projects")
    memberships: Mapped[list["ProjectMember"]] = relationship(back_populates="project")
    comments: Mapped[list["Comment"]] = relationship(back_populates="project", order_by="Comment.id")


class ProjectMember(Base):
    """Who works on what."""

    __tablename__ = "project_members"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    duty: Mapped[str] = mapped_column(String(20))

    project: Mapped[Project] = relationship(back_populates="memberships")
    user: Mapped[User] = relationship()


class Activity(Base):
    """Something that a user did on a project, with the time that it took.

    `minutes` is negative for corrections of earlier entries. `rate_cents` is per hour, `discount` in percent.
    """

    __tablename__ = "activities"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(String(200))
    summary: Mapped[str] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(JSON)
    minutes: Mapped[int]
    rate_cents: Mapped[int]
    discount: Mapped[int]
    points: Mapped[int]
    created_at: Mapped[datetime]

    user: Mapped[User] = relationship()
    project: Mapped[Project] = relationship()


class Notification(Base):
    """A message to a user; unread while `read_at` is null."""

    __tablename__ = "notifications"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str] = mapped_column(String(20))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]


class Comment(Base):
    """A remark on a project."""

    __tablename__ = "comments"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]

    project: Mapped[Project] = relationship(back_populates="comments")
    user: Mapped[User] = relationship()


class Widget(Base):
    """A tile on a user's dashboard."""

    __tablename__ = "widgets"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(String(80))
    position: Mapped[int]
    config: Mapped[dict[str, Any]] = mapped_column(JSON)

    user: Mapped[User] = relationship(back_populates="widgets")
    project: Mapped[Project | None] = relationship()
