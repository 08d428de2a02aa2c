-- What must be one statement, so that the server runs and commits it whatever becomes of the client. A version that
-- changes one of these gives it another name: programs of both versions run side by side.

-- Wait for one's turn and return the next row of `turn`, which the caller inserts; the lock lasts until the commit,
-- so that numbers are dense and rise in the order in which they become visible. The rules of time are those of
-- exporter/journal/times.py. p_now: the time to use in place of the server's clock, NULL as a rule.
-- Whoever calls it gives up after 4 s (lock_timeout), before the client does: a statement that waits on behalf of a
-- client that has gone would keep its connection, and each try would add one.
CREATE FUNCTION journal_turn_1(p_now bigint, p_who text, p_expose boolean, p_ended boolean) RETURNS turn
LANGUAGE plpgsql AS $$
DECLARE
    t turn;
    now_ms bigint;
    newest bigint;
BEGIN
    IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
        PERFORM set_config('synchronous_commit', 'on', true); -- whatever the database's default is
    END IF;
    PERFORM FROM lock_row FOR UPDATE;
    SELECT * INTO STRICT t FROM turn ORDER BY number DESC LIMIT 1;
    now_ms := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000)::bigint); -- after the lock
    newest := t.at_ms;
    t.number := t.number + 1;
    IF p_ended AND t.exposer = p_who AND NOT t.set_back AND newest < t.exposing_until_ms THEN
        t.exposing_until_ms := newest + 1;
    END IF;
    IF p_expose THEN
        t.at_ms := CASE WHEN now_ms < newest - 1000 THEN now_ms ELSE greatest(now_ms, newest + 1) END;
        -- only who exposed alone can tell that it has ended
        t.exposer := CASE WHEN t.exposer = p_who OR t.exposing_until_ms < t.at_ms THEN p_who ELSE '' END;
        t.exposing_until_ms := CASE WHEN t.set_back OR t.at_ms < newest THEN t.at_ms + 2000
                                    ELSE greatest(t.at_ms + 2000, t.exposing_until_ms) END;
        t.set_back := false;
    ELSIF now_ms < newest - 1000 THEN
        t.at_ms := now_ms;
        t.set_back := true;
    ELSE
        t.at_ms := greatest(now_ms, CASE WHEN newest <= t.exposing_until_ms THEN newest + 1 ELSE newest END);
    END IF;
    RETURN t;
END $$;

-- Append events, or note an exposition. The first row tells of the turn: the newest number before it, its time, and
-- which of the given events are new, by their places; then come the records that the caller lacks, not its own.
-- Always writes, so that the commit of a mere repetition waits for the standby that holds the first.
-- A connection plans this once, perhaps over tables that are empty yet, and everybody waits for its end: so each look
-- goes through an index, whatever the planner thinks of the tables then.
CREATE FUNCTION journal_append_1(
    p_now bigint, p_who text, p_expose boolean, p_ended boolean, p_after bigint, p_limit int,
    p_device int[], p_timestamp bigint[], p_kind smallint[], p_identity int[])
RETURNS TABLE (seq bigint, device int, "timestamp" bigint, kind smallint, identity int, received_ms bigint,
               exposed_ms bigint, fresh int[])
LANGUAGE plpgsql
SET lock_timeout = '4s'
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    t turn := journal_turn_1(p_now, p_who, p_expose, p_ended);
    last bigint := t.seq;
    exposed bigint := CASE WHEN t.set_back THEN t.exposing_until_ms ELSE least(t.at_ms, t.exposing_until_ms) END;
    places int[];
BEGIN
    IF cardinality(p_device) > 0 THEN
        WITH given AS (
            SELECT DISTINCT ON (d, at, k) d, at, k, i, place::int
            FROM unnest(p_device, p_timestamp, p_kind, p_identity) WITH ORDINALITY AS u(d, at, k, i, place)
            ORDER BY d, at, k, place
        ), unknown AS (
            SELECT d, at, k, i, place, row_number() OVER (ORDER BY place) AS nth FROM given
            WHERE at >= (SELECT pruned_before FROM saved WHERE one)
              AND NOT EXISTS (SELECT FROM event e WHERE e.device = d AND e.timestamp = at AND e.kind = k)
        ), inserted AS (
            INSERT INTO event SELECT last + nth, d, at, k, i, t.at_ms, exposed FROM unknown
        ), renamed AS (
            UPDATE device SET identity = newest.i
            FROM (SELECT DISTINCT ON (d) d, at, i FROM unknown ORDER BY d, at DESC, place DESC) AS newest
            WHERE device.id = newest.d AND device.identity IS DISTINCT FROM newest.i
              AND NOT EXISTS (SELECT FROM event e WHERE e.device = newest.d AND e.timestamp > newest.at)
        )
        SELECT array_agg(place ORDER BY place) INTO places FROM unknown;
    END IF;
    t.seq := last + coalesce(cardinality(places), 0);
    INSERT INTO turn SELECT t.*;
    RETURN QUERY SELECT last, NULL::int, NULL::bigint, NULL::smallint, NULL::int, t.at_ms, exposed, places;
    IF p_after < last THEN
        RETURN QUERY SELECT e.seq, e.device, e.timestamp, e.kind, e.identity, e.received_ms, e.exposed_ms, NULL::int[]
            FROM event e WHERE e.seq > p_after AND e.seq <= last ORDER BY e.seq LIMIT p_limit;
    END IF;
END $$;

-- Note that events are heard; return the blind interval before it, if there was one.
CREATE FUNCTION journal_heartbeat_1(p_now bigint, p_who text, p_span bigint)
RETURNS TABLE (start_ms bigint, end_ms bigint)
LANGUAGE plpgsql
SET lock_timeout = '4s'
AS $$
#variable_conflict use_column
DECLARE
    t turn := journal_turn_1(p_now, p_who, false, false);
    last bigint := t.heard_ms;
BEGIN
    IF t.at_ms < last THEN -- the clock was ahead: that time has not been yet
        UPDATE blind SET end_ms = t.at_ms WHERE end_ms > t.at_ms;
        DELETE FROM blind WHERE start_ms >= end_ms;
    END IF;
    t.heard_ms := t.at_ms;
    INSERT INTO turn SELECT t.*;
    DELETE FROM turn WHERE number < t.number;
    IF last > 0 AND t.at_ms - last > p_span THEN
        RETURN QUERY INSERT INTO blind VALUES (last, t.at_ms - p_span)
            ON CONFLICT (start_ms) DO UPDATE SET end_ms = excluded.end_ms RETURNING blind.start_ms, blind.end_ms;
    END IF;
END $$;
