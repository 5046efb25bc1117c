-- Keys, indexes and sequences, after the rows.
ALTER TABLE schema_migrations ADD PRIMARY KEY (version);
ALTER TABLE ar_internal_metadata ADD PRIMARY KEY (key);
ALTER TABLE organisations ADD PRIMARY KEY (id), ADD UNIQUE (urn);
ALTER TABLE users ADD PRIMARY KEY (id), ADD UNIQUE (email);
ALTER TABLE staff ADD PRIMARY KEY (id), ADD UNIQUE (email);
ALTER TABLE eligibility_checks ADD PRIMARY KEY (id);
ALTER TABLE referrals ADD PRIMARY KEY (id), ADD UNIQUE (reference);
ALTER TABLE referrers ADD PRIMARY KEY (id), ADD UNIQUE (referral_id);
ALTER TABLE allegations ADD PRIMARY KEY (id);
ALTER TABLE referral_evidence ADD PRIMARY KEY (id);
ALTER TABLE uploads ADD PRIMARY KEY (id);
ALTER TABLE case_notes ADD PRIMARY KEY (id);
ALTER TABLE reminder_emails ADD PRIMARY KEY (id);
ALTER TABLE feature_flags ADD PRIMARY KEY (id), ADD UNIQUE (name);
ALTER TABLE sessions ADD PRIMARY KEY (id);
ALTER TABLE versions ADD PRIMARY KEY (id);
ALTER TABLE analytics_events ADD PRIMARY KEY (id, occurred_at);

CREATE INDEX ON referrals (user_id);
CREATE INDEX ON referrals (organisation_id);
CREATE INDEX ON referrals (eligibility_check_id);
CREATE INDEX ON referrals (created_at);
CREATE INDEX ON allegations (referral_id);
CREATE INDEX ON referral_evidence (referral_id);
CREATE INDEX ON uploads (referral_id);
CREATE INDEX ON uploads (evidence_id);
CREATE INDEX ON case_notes (referral_id);
CREATE INDEX ON reminder_emails (referral_id);
CREATE INDEX ON versions (item_type, item_id);
CREATE INDEX ON sessions (updated_at);

ALTER TABLE staff ADD FOREIGN KEY (invited_by_id) REFERENCES staff (id);
ALTER TABLE referrals
  ADD FOREIGN KEY (user_id) REFERENCES users (id),
  ADD FOREIGN KEY (eligibility_check_id) REFERENCES eligibility_checks (id),
  ADD FOREIGN KEY (organisation_id) REFERENCES organisations (id);
ALTER TABLE referrers ADD FOREIGN KEY (referral_id) REFERENCES referrals (id);
ALTER TABLE allegations ADD FOREIGN KEY (referral_id) REFERENCES referrals (id);
ALTER TABLE referral_evidence ADD FOREIGN KEY (referral_id) REFERENCES referrals (id);
ALTER TABLE uploads
  ADD FOREIGN KEY (referral_id) REFERENCES referrals (id),
  ADD FOREIGN KEY (evidence_id) REFERENCES referral_evidence (id);
ALTER TABLE case_notes
  ADD FOREIGN KEY (referral_id) REFERENCES referrals (id),
  ADD FOREIGN KEY (staff_id) REFERENCES staff (id);
ALTER TABLE reminder_emails ADD FOREIGN KEY (referral_id) REFERENCES referrals (id);
ALTER TABLE feature_flags ADD FOREIGN KEY (changed_by_id) REFERENCES staff (id);
ALTER TABLE sessions ADD FOREIGN KEY (user_id) REFERENCES users (id);
ALTER TABLE analytics_events ADD FOREIGN KEY (user_id) REFERENCES users (id);

DO $$
DECLARE
  this record;
BEGIN
  FOR this IN SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
              WHERE c.relnamespace = 'public'::regnamespace AND a.attidentity <> '' AND NOT c.relispartition LOOP
    EXECUTE format('SELECT setval(pg_get_serial_sequence(%L, ''id''), (SELECT max(id) FROM %I))', this.relname, this.relname);
  END LOOP;
END $$;
