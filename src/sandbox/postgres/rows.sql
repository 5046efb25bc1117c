-- The rows, all from (seed, as-of day, size): every value is a hash of the seed, a column's number and the row's
-- number, every time is counted back from the as-of day. Same three in, same rows out, on any machine.
CREATE SCHEMA gen;
CREATE FUNCTION gen.h(salt integer, i bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT hashint8extended(i, salt * 4294967311::bigint + {{seed}}) & 9223372036854775807 $$;
CREATE FUNCTION gen.n(salt integer, i bigint, below integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT (gen.h(salt, i) % below)::integer $$;
CREATE FUNCTION gen.of(list text[], salt integer, i bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT list[1 + (gen.h(salt, i) % array_length(list, 1))::integer] $$;
CREATE FUNCTION gen.uuid(salt integer, i bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT overlay(overlay(lpad(to_hex(gen.h(salt, i)), 16, '0') || lpad(to_hex(gen.h(salt + 5000, i)), 16, '0')
          placing '4' from 13) placing '9' from 17)::uuid $$;
-- Row i of n, spread evenly over the `days` before the as-of day with some unevenness; never backwards.
CREATE FUNCTION gen.at(i bigint, n bigint, days integer, salt integer) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT timestamptz '{{as_of}}' - interval '1 millisecond'
        * ((n - i) * (days * 86400000::bigint / n) + 1 + gen.h(salt, i) % (days * 86400000::bigint / n)) $$;
CREATE FUNCTION gen.referral_at(i bigint) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT gen.at(i, {{referrals}}, 540, 50) $$;
-- Some time after the referral, at most `minutes`, never past the as-of day.
CREATE FUNCTION gen.after_referral(r bigint, minutes integer, salt integer, i bigint) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT least(gen.referral_at(r) + interval '1 second' * (1 + gen.h(salt, i) % (minutes * 60)),
                timestamptz '{{as_of}}' - interval '1 millisecond') $$;
-- The referral that row j of n belongs to: in order, every referral about equally often.
CREATE FUNCTION gen.parent(j bigint, n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT 1 + (j - 1) * {{referrals}} / n $$;
CREATE FUNCTION gen.first_name(salt integer, i bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT gen.of('{Aisha,Alan,Amara,Amelia,Andrew,Anna,Anthony,Beatrice,Ben,Bronwyn,Callum,Carys,Catherine,Charlotte,Chidi,Chloe,Craig,Daniel,David,Deepa,Eilidh,Eleanor,Emily,Farah,Fiona,Gareth,George,Grace,Hannah,Harpreet,Helen,Imran,Isla,Jack,James,Jasmine,Joanna,Jonathan,Kamal,Karen,Kofi,Laura,Leo,Louise,Małgorzata,Mark,Mohammed,Niamh,Nigel,Oluwaseun,Patrick,Priya,Rachel,Rhys,Sarah,Seán,Siobhán,Stephen,Tariq,Thomas,Wei,Yusuf,Zofia,Zoë}', salt, i) $$;
CREATE FUNCTION gen.last_name(salt integer, i bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT gen.of('{Adeyemi,Ahmed,Allen,Anderson,Bailey,Baker,Begum,Bennett,Brown,Campbell,Carter,Chen,Clark,Collins,Cooper,Davies,Edwards,Evans,Fernández,Fletcher,Foster,Gill,Graham,Green,Griffiths,Hall,Harris,Hughes,Hussain,Iqbal,Jackson,James,Jenkins,Johnson,Jones,Kaur,Kelly,Khan,King,Kowalski,Lewis,MacDonald,Marshall,Martin,Mitchell,Moore,Morgan,Morris,Murphy,Nowak,O''Brien,O''Connor,Okafor,Owen,Parker,Patel,Phillips,Powell,Price,Rahman,Reid,Richards,Roberts,Robinson,Scott,Shah,Singh,Smith,Stewart,Taylor,Thomas,Thompson,Turner,Walker,Walsh,Watson,White,Williams,Wilson,Wood,Wright,Young}', salt, i) $$;
CREATE FUNCTION gen.details(salt integer, i bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT gen.of(ARRAY['During the spring term', 'On a residential visit', 'Over several weeks', 'At a parents'' evening', 'In an after-school club', 'Before an inspection', 'During a mock examination', 'On social media'], salt, i)
  || ' the teacher '
  || gen.of(ARRAY['altered assessment records', 'shared confidential pupil information', 'failed to act on a safeguarding concern', 'behaved in a threatening way towards a colleague', 'claimed expenses that were not incurred', 'left pupils unsupervised', 'sent inappropriate messages', 'attended work under the influence of alcohol'], salt + 1, i)
  || '. '
  || gen.of(ARRAY['The headteacher was told the same day.', 'A statement from a witness is attached.', 'The local authority designated officer has been informed.', 'An internal investigation upheld the complaint.', 'The teacher has been suspended.', 'The teacher has since resigned.'], salt + 2, i) $$;

INSERT INTO schema_migrations SELECT to_char(timestamptz '2022-06-01' + i * interval '5 days 3 hours', 'YYYYMMDDHH24MISS') FROM generate_series(1, 120) i;
INSERT INTO ar_internal_metadata VALUES ('environment', 'production', timestamptz '2022-06-01');

INSERT INTO organisations
SELECT i, 100000 + i * 7,
  gen.of('{Ashdown,Beechwood,Bridge Street,Castle Hill,Churchfields,Elmtree,Greenway,Hawthorn,Kingsmead,Lakeside,Meadowbank,Northgate,Oakfield,Park Lane,Queensway,Riverside,Sandringham,St Anne''s,St Mary''s,Thornhill,Valley View,Westbrook,Woodlands}', 1, i)
    || ' ' || gen.of('{Academy,Primary School,High School,College,Community School,Grammar School,Sixth Form,Free School}', 2, i) || ' ' || i,
  gen.of('{primary,secondary,"all-through","16 to 18",nursery}', 3, i),
  1 + gen.n(4, i, 240) || ' ' || gen.of('{High Street,Church Lane,Station Road,Mill Lane,Victoria Road,The Crescent,Manor Way,London Road}', 5, i),
  gen.of('{Bradford,Bristol,Carlisle,Coventry,Derby,Exeter,Grimsby,Hull,Ipswich,Leeds,Leicester,Lincoln,Luton,Norwich,Nottingham,Oldham,Plymouth,Preston,Reading,Sheffield,Stoke-on-Trent,Sunderland,Truro,York}', 6, i),
  gen.of('{BD,BS,CA,CV,DE,EX,DN,HU,IP,LS,LE,LN,LU,NR,NG,OL,PL,PR,RG,S,ST,SR,TR,YO}', 6, i) || 1 + gen.n(7, i, 20) || ' ' || 1 + gen.n(8, i, 9) || chr(65 + gen.n(9, i, 26)) || chr(65 + gen.n(10, i, 26)),
  gen.at(i, {{organisations}}, 1400, 11), gen.at(i, {{organisations}}, 1400, 11)
FROM generate_series(1::bigint, {{organisations}}) i;

INSERT INTO users
SELECT i, lower(translate(gen.first_name(20, i) || '.' || gen.last_name(21, i), ' ''áëłö', '--aelo')) || i || '@' || gen.of('{mail.example,school.example,post.example,inbox.example}', 22, i),
  gen.uuid(23, i), 1 + gen.n(24, i, 40), gen.at(i, {{users}}, 600, 25) + interval '1 minute' * gen.n(26, i, 60),
  gen.at(i, {{users}}, 600, 25), gen.at(i, {{users}}, 600, 25) + interval '1 minute' * gen.n(26, i, 60)
FROM generate_series(1::bigint, {{users}}) i;

INSERT INTO staff
SELECT i, lower(translate(gen.first_name(30, i) || '.' || gen.last_name(31, i), ' ''áëłö', '--aelo')) || i || '@education.example',
  jsonb_build_object('view_support', gen.n(32, i, 3) > 0, 'manage_referrals', gen.n(33, i, 2) = 0, 'feedback_notification', gen.n(34, i, 5) = 0),
  CASE WHEN i > 3 THEN 1 + gen.n(35, i, 3) END,
  CASE WHEN i > 3 AND gen.n(36, i, 12) = 0 THEN gen.at(i, {{staff}}, 800, 37) + interval '20 days' END,
  gen.at(i, {{staff}}, 800, 37), gen.at(i, {{staff}}, 800, 37)
FROM generate_series(1::bigint, {{staff}}) i;

INSERT INTO eligibility_checks
SELECT i, CASE WHEN gen.n(40, i, 5) < 3 THEN 'employer' ELSE 'public' END::reporting_as,
  gen.of('{yes,yes,yes,not_sure,no}', 41, i), gen.of('{yes,yes,yes,yes,not_sure,no}', 42, i),
  gen.of('{yes,yes,not_sure,no}', 43, i), gen.n(44, i, 2) = 0, gen.at(i, {{eligibility_checks}}, 541, 45), gen.at(i, {{eligibility_checks}}, 541, 45)
FROM generate_series(1::bigint, {{eligibility_checks}}) i;

INSERT INTO referrals
SELECT i, gen.uuid(51, i), 1 + gen.h(52, i) % {{users}}, 1 + (i - 1) * {{eligibility_checks}} / {{referrals}},
  CASE WHEN gen.n(53, i, 10) > 0 THEN 1 + gen.h(54, i) % {{organisations}} END,
  CASE WHEN gen.n(55, i, 9) = 0 THEN 'draft' WHEN i > {{referrals}} * 97 / 100 THEN 'submitted'
       WHEN i > {{referrals}} * 90 / 100 THEN 'under_review' ELSE 'closed' END::referral_status,
  gen.first_name(56, i), gen.last_name(57, i), CASE WHEN gen.n(58, i, 12) = 0 THEN gen.last_name(59, i) END,
  date '1958-01-01' + gen.n(60, i, 15000), CASE WHEN gen.n(61, i, 4) > 0 THEN (1000000 + gen.n(62, i, 8999999))::text END,
  gen.n(63, i, 3) = 0,
  gen.of(ARRAY['Class teacher', 'Head of year', 'Deputy headteacher', 'Teacher of mathematics', 'Teacher of science', 'Cover supervisor', 'Headteacher', 'Teacher of English', 'SENCO'], 64, i),
  gen.of(ARRAY['Teaching a class of thirty pupils.', 'Leading a department and teaching.', 'Pastoral care of a year group.', 'Responsible for the whole school.'], 65, i),
  gen.of('{employed,suspended,left_role}', 66, i),
  jsonb_build_object('email_known', gen.n(67, i, 2) = 0, 'phone', '07700 9' || lpad(gen.n(68, i, 100000)::text, 5, '0'), 'address_known', gen.n(69, i, 3) = 0),
  CASE WHEN gen.n(55, i, 9) > 0 THEN gen.after_referral(i, 4000, 70, i) END,
  gen.referral_at(i), gen.after_referral(i, 9000, 71, i)
FROM generate_series(1::bigint, {{referrals}}) i;

INSERT INTO referrers
SELECT i, i, gen.first_name(80, i), gen.last_name(81, i),
  gen.of(ARRAY['Headteacher', 'HR manager', 'Chair of governors', 'Parent', 'Designated safeguarding lead', 'Business manager'], 82, i),
  '07700 9' || lpad(gen.n(83, i, 100000)::text, 5, '0'), gen.n(55, i, 9) > 0, gen.after_referral(i, 20, 84, i), gen.after_referral(i, 20, 84, i)
FROM generate_series(1::bigint, {{referrals}}) i;

INSERT INTO allegations
SELECT i, gen.parent(i, {{allegations}}), (enum_range(NULL::allegation_kind))[1 + gen.n(90, i, 5)], gen.details(91, i),
  (gen.referral_at(gen.parent(i, {{allegations}})) AT TIME ZONE 'UTC')::date - gen.n(95, i, 400), gen.n(96, i, 4) = 0,
  gen.after_referral(gen.parent(i, {{allegations}}), 90, 97, i), gen.after_referral(gen.parent(i, {{allegations}}), 90, 97, i)
FROM generate_series(1::bigint, {{allegations}}) i;

INSERT INTO referral_evidence
SELECT gen.uuid(100, i), gen.parent(i, {{referral_evidence}}), jsonb_build_array(gen.of('{statement,police_investigation,minutes,cv,letter}', 101, i), gen.of('{email,photo,interview,contract,other}', 102, i)),
  gen.of(ARRAY['Statement of the headteacher', 'Minutes of the disciplinary hearing', 'Letter of dismissal', 'Correspondence', 'Record of the interview'], 103, i),
  gen.after_referral(gen.parent(i, {{referral_evidence}}), 600, 104, i), gen.after_referral(gen.parent(i, {{referral_evidence}}), 600, 104, i)
FROM generate_series(1::bigint, {{referral_evidence}}) i;

-- An upload belongs to a piece of evidence of the same referral, or to the referral alone.
INSERT INTO uploads
SELECT gen.uuid(110, i), gen.parent(e, {{referral_evidence}}), CASE WHEN gen.n(111, i, 5) > 0 THEN gen.uuid(100, e) END,
  (enum_range(NULL::upload_section))[1 + gen.n(112, i, 4)],
  gen.of('{statement,minutes,letter,interview,evidence,scan}', 113, i) || '-' || i || gen.of('{.pdf,.docx,.jpg,.pdf}', 114, i),
  gen.of('{application/pdf,application/vnd.openxmlformats-officedocument.wordprocessingml.document,image/jpeg,application/pdf}', 114, i),
  20000 + gen.n(115, i, 9000000), int8send(gen.h(116, i)) || int8send(gen.h(117, i)),
  CASE WHEN gen.n(118, i, 400) = 0 THEN 'suspect' WHEN gen.n(118, i, 400) < 3 THEN 'error' ELSE 'clean' END::scan_result,
  gen.after_referral(gen.parent(e, {{referral_evidence}}), 700, 119, i), gen.after_referral(gen.parent(e, {{referral_evidence}}), 700, 119, i)
FROM (SELECT i, 1 + (i - 1) * {{referral_evidence}} / {{uploads}} AS e FROM generate_series(1::bigint, {{uploads}}) i) u;

INSERT INTO case_notes
SELECT i, gen.parent(i, {{case_notes}}), 1 + gen.n(120, i, {{staff}}),
  gen.of(ARRAY['Called the referrer and left a message.', 'Asked for the minutes of the hearing.', 'Evidence received and filed.', 'Passed to the investigations team.', 'No further action: employer to manage.', 'Duplicate of an earlier referral.'], 121, i),
  gen.after_referral(gen.parent(i, {{case_notes}}), 20000, 122, i)
FROM generate_series(1::bigint, {{case_notes}}) i;

INSERT INTO reminder_emails
SELECT i, gen.parent(i, {{reminder_emails}}), gen.uuid(130, i), gen.after_referral(gen.parent(i, {{reminder_emails}}), 10080, 131, i), gen.after_referral(gen.parent(i, {{reminder_emails}}), 10080, 131, i)
FROM generate_series(1::bigint, {{reminder_emails}}) i;

INSERT INTO feature_flags
SELECT i, name, gen.n(140, i, 3) > 0, 1 + gen.n(141, i, 3), gen.at(i, 8, 500, 142), gen.at(i, 8, 500, 142)
FROM unnest('{service_open,staff_http_basic_auth,employer_form,public_form,user_accounts,eligibility_screener,malware_scan,evidence_templates}'::text[]) WITH ORDINALITY AS f (name, i);

INSERT INTO sessions
SELECT gen.uuid(150, i), CASE WHEN gen.n(151, i, 4) > 0 THEN 1 + gen.h(152, i) % {{users}} END,
  jsonb_build_object('csrf', to_hex(gen.h(153, i)), 'eligibility_check_id', 1 + gen.h(154, i) % {{eligibility_checks}}),
  gen.at(i, {{sessions}}, 30, 155), gen.at(i, {{sessions}}, 30, 155)
FROM generate_series(1::bigint, {{sessions}}) i;

INSERT INTO versions
SELECT i, 'Referral', gen.parent(i, {{versions}}), gen.of('{create,update,update,update}', 160, i), 'user:' || 1 + gen.h(161, i) % {{users}},
  jsonb_build_object('status', jsonb_build_array(gen.of('{draft,submitted}', 162, i), gen.of('{submitted,under_review,closed}', 163, i))),
  gen.after_referral(gen.parent(i, {{versions}}), 9000, 164, i)
FROM generate_series(1::bigint, {{versions}}) i;

INSERT INTO analytics_events
SELECT i, gen.at(i, {{analytics_events}}, 365, 170), gen.of('{web_request,web_request,web_request,create_entity,update_entity}', 171, i),
  CASE WHEN gen.n(172, i, 3) = 0 THEN 1 + gen.h(173, i) % {{users}} END,
  jsonb_build_object('path', gen.of('{/,/start,/who,/referrals,/referrals/summary,/users/sign_in}', 174, i), 'method', gen.of('{GET,GET,POST}', 175, i), 'ms', 8 + gen.n(176, i, 400))
FROM generate_series(1::bigint, {{analytics_events}}) i;

INSERT INTO notify_callbacks
SELECT gen.at(i, {{notify_callbacks}}, 540, 180), gen.uuid(130, 1 + gen.h(181, i) % {{reminder_emails}}), gen.of('{delivered,delivered,delivered,"temporary-failure","permanent-failure"}', 182, i),
  jsonb_build_object('id', gen.uuid(183, i), 'notification_type', 'email', 'attempt', 1 + gen.n(184, i, 3))
FROM generate_series(1::bigint, {{notify_callbacks}}) i;

DROP SCHEMA gen CASCADE;
