"""Looking at an audience and confirming it, by the commands of whoever publishes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from uuid import UUID

from devkit.stack_layout import SERVICES

from .request_bodies import a_call, an_idea
from .stories import Story


async def command(story: Story, *arguments: str, given: str = "") -> tuple[int, str, str]:
    """`taawon …` as somebody elsewhere runs it: with addresses and an operator's token."""
    where = [f"--url={service}={story.stack.url(service)}" for service in SERVICES]
    env = {name: value for name, value in os.environ.items() if not name.startswith("TAAWON_")}
    env |= {"TAAWON_OPERATOR_TOKEN": story.operator.token, "COLUMNS": "160"}
    return await story.run(*arguments, *where, env=env, given=given)


async def test_a_call_is_opened_with_the_audience_that_was_seen(story: Story) -> None:
    call_id = str(await story.draft_call(a_call()))
    code, out, messages = await command(story, "preview", "call", call_id, "--json")
    assert code == 0, messages
    seen = json.loads(out)
    refused, _, _ = await command(story, "publish", "call", call_id, given="n\n")
    draft = await story.get("funding", f"/calls/{call_id}")

    code, out, messages = await command(story, "publish", "call", call_id, given="y\n")

    assert code == 0, messages
    assert (refused, draft["state"]) == (1, "draft")
    assert f"{seen['matched']} recipients confirmed" in out
    assert "Souss-Massa" in out
    await story.until_alerted(call_id)
    totals = await story.get("notifications", f"/subjects/{call_id}/totals")
    assert totals["alerted"] == seen["matched"] > 0
    assert totals["approval"] is None
    assert f"{totals['alerted']} cooperatives alerted" in out


async def test_publishing_says_that_it_is_held_and_partners_wait_for_the_release(
    story: Story,
) -> None:
    partner = await story.register_partner()
    await story.subscribe(partner)
    call_id = str(await story.draft_call(a_call()))
    await command(story, "approvals", "hold", call_id, "--reason", "the cap is wrong")

    _, previewed, _ = await command(story, "preview", "call", call_id)
    code, out, messages = await command(story, "publish", "call", call_id, "--yes")
    before = await story.feed(partner)
    _, traced, _ = await command(story, "trace", call_id)
    released, _, _ = await command(story, "approvals", "release", call_id, "--reason", "mended")

    assert (code, released) == (0, 0), messages
    assert "this is held: the cap is wrong" in previewed
    assert "held by operator: the cap is wrong" in out
    assert "partners wait with them" in out
    assert "funding.call.opened.v1" in traced
    assert "this is held: the cap is wrong" in traced
    assert before == []
    (item,) = await story.fed(partner, 1)
    assert item["data"]["call_id"] == call_id


async def test_an_idea_is_published_by_a_script_and_a_file_is_previewed(
    story: Story, tmp_path: Path
) -> None:
    author = await story.someone("holder")
    idea = await story.post("ideas", "/ideas", an_idea(), who=author)
    await story.post("ideas", f"/ideas/{idea['idea_id']}/submit", who=author)
    file = tmp_path / "criteria.json"
    criteria = {"regions": ["MA-09"], "sectors": ["ARGAN"]}
    file.write_text(json.dumps({"tracks": [{"criteria": criteria}]}))

    _, previewed, _ = await command(story, "preview", "file", str(file), "--json")
    code, out, messages = await command(
        story, "publish", "idea", idea["idea_id"], "--yes", "--json"
    )
    again, _, said = await command(story, "publish", "idea", idea["idea_id"], "--yes")

    assert code == 0, messages
    assert json.loads(out)["preview"] == json.loads(previewed)
    assert json.loads(out)["published"]["state"] == "published"
    assert again == 1
    assert "published" in said


async def test_a_draft_is_deleted_by_a_command_and_an_open_call_is_not(story: Story) -> None:
    call_id, opened_id = str(await story.draft_call(a_call())), str(await story.open_call())

    refused, _, _ = await command(story, "delete", "call", call_id, given="n\n")
    code, out, messages = await command(story, "delete", "call", call_id, given="y\n")
    again, _, gone = await command(story, "delete", "call", call_id, "--yes")
    open_code, _, said = await command(story, "delete", "call", opened_id, "--yes")

    assert (refused, code, again, open_code) == (1, 0, 1, 1), messages
    assert call_id in out
    assert "no such call" in gone
    assert "cancel it instead" in said


async def test_an_operator_holds_and_releases_one_fan_out_and_everything(story: Story) -> None:
    call_id = str(await story.draft_call(a_call()))
    why = ("--reason", "the cap is wrong")

    code, out, messages = await command(story, "approvals", "hold", call_id, *why)
    everything, _, _ = await command(story, "approvals", "hold-everything", *why)
    _, listed, _ = await command(story, "approvals", "list")
    released, said, _ = await command(story, "approvals", "release-everything", *why)
    stopped, _, _ = await command(story, "approvals", "stop", call_id, *why)
    nobody, _, refusal = await command(story, "approvals", "hold", str(UUID(int=0)), *why)

    assert code == 0, messages
    assert (everything, released, stopped, nobody) == (0, 0, 0, 2)
    assert f"{call_id} is held" in out
    assert (call_id in listed, "everything" in listed) == (True, True)
    assert "everything is released" in said
    assert "nil UUID" in refusal
