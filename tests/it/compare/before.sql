-- Between the base backup and the restore point.
UPDATE orders SET state = 'paid' WHERE id % 10 = 0;
DELETE FROM orders WHERE id BETWEEN 15000 AND 15099;
INSERT INTO orders SELECT n, 1, 'late', 1, 'b', '2026-02-01', '2026-02-01' FROM generate_series(20001, 20200) n;
DELETE FROM nopk_log WHERE line = 'line 5';
VACUUM orders;
SELECT nextval('numbers');
