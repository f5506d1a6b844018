-- An invented harbour. The answers to its questions depend on values in small tables. Made for this repository.

CREATE TABLE vessel_types (id int PRIMARY KEY, label text NOT NULL UNIQUE);
INSERT INTO vessel_types VALUES (1, 'Bulk Carrier'), (2, 'Roll-on/Roll-off'), (3, 'Container Ship'), (4, 'Tanker (crude)'), (5, 'Tanker (product)'), (6, 'Heavy Lift'), (7, 'Reefer'), (8, 'Tug'), (9, 'Coaster');
CREATE TABLE flags (id int PRIMARY KEY, state text NOT NULL UNIQUE);
INSERT INTO flags VALUES (1, 'Kingdom of Norrland'), (2, 'Republic of Esca'), (3, 'Free City of Tern'), (4, 'Union of Islets'), (5, '(stateless)');
CREATE TABLE hull_materials (id int PRIMARY KEY, material text NOT NULL UNIQUE);
INSERT INTO hull_materials VALUES (1, 'Steel'), (2, 'Aluminium alloy'), (3, 'GRP'), (4, 'Timber'), (5, 'Ferro-cement');
CREATE TABLE berth_classes (id int PRIMARY KEY, class text NOT NULL UNIQUE);
INSERT INTO berth_classes VALUES (1, 'Deep water'), (2, 'Tidal'), (3, 'Lay-by'), (4, 'Dry dock'), (5, 'Dolphin');
CREATE TABLE hazard_classes (id int PRIMARY KEY, hazard text NOT NULL UNIQUE);
INSERT INTO hazard_classes VALUES (1, '-'), (2, 'Flammable liquid'), (3, 'Oxidiser'), (4, 'Corrosive'), (5, 'Marine pollutant');
CREATE TABLE cargo_kinds (id int PRIMARY KEY, kind text NOT NULL UNIQUE);
INSERT INTO cargo_kinds VALUES (1, 'Break bulk'), (2, 'Dry bulk'), (3, 'Liquid bulk'), (4, 'Containerised'), (5, 'Project cargo'), (6, 'Live animals');
CREATE TABLE packings (id int PRIMARY KEY, packing text NOT NULL UNIQUE);
INSERT INTO packings VALUES (1, 'Loose'), (2, 'Palletised'), (3, 'Drums'), (4, 'Big bags'), (5, 'Flat rack');
CREATE TABLE inspection_outcomes (id int PRIMARY KEY, outcome text NOT NULL UNIQUE);
INSERT INTO inspection_outcomes VALUES (1, 'Passed'), (2, 'Passed w/ remarks'), (3, 'Detained'), (4, 'Not carried out');
CREATE TABLE inspection_bodies (id int PRIMARY KEY, body text NOT NULL UNIQUE);
INSERT INTO inspection_bodies VALUES (1, 'Port State Control'), (2, 'Class Society'), (3, 'Flag Administration'), (4, 'P&I Club');
CREATE TABLE pilot_grades (id int PRIMARY KEY, grade text NOT NULL UNIQUE);
INSERT INTO pilot_grades VALUES (1, 'Grade I'), (2, 'Grade II'), (3, 'Grade III'), (4, 'Trainee');
CREATE TABLE weather_states (id int PRIMARY KEY, weather text NOT NULL UNIQUE);
INSERT INTO weather_states VALUES (1, 'Calm'), (2, 'Fresh breeze'), (3, 'Gale'), (4, 'Fog < 1 nm'), (5, 'Ice');
CREATE TABLE tide_states (id int PRIMARY KEY, tide text NOT NULL UNIQUE);
INSERT INTO tide_states VALUES (1, 'High water'), (2, 'Low water'), (3, 'Flood'), (4, 'Ebb'), (5, 'Slack');
CREATE TABLE incident_kinds (id int PRIMARY KEY, kind text NOT NULL UNIQUE);
INSERT INTO incident_kinds VALUES (1, 'Grounding'), (2, 'Allision'), (3, 'Spill'), (4, 'Mooring failure'), (5, 'Man overboard');
CREATE TABLE severities (id int PRIMARY KEY, severity text NOT NULL UNIQUE);
INSERT INTO severities VALUES (1, 'Minor'), (2, 'Serious'), (3, 'Very serious'), (4, 'Near miss');
CREATE TABLE fee_reasons (id int PRIMARY KEY, reason text NOT NULL UNIQUE);
INSERT INTO fee_reasons VALUES (1, 'Harbour dues'), (2, 'Pilotage'), (3, 'Towage'), (4, 'Waste disposal'), (5, 'Demurrage');
CREATE TABLE currencies (id int PRIMARY KEY, unit text NOT NULL UNIQUE);
INSERT INTO currencies VALUES (1, 'Crown'), (2, 'Escan mark'), (3, 'Tern guilder');
CREATE TABLE customs_statuses (id int PRIMARY KEY, status text NOT NULL UNIQUE);
INSERT INTO customs_statuses VALUES (1, 'Cleared'), (2, 'Under bond'), (3, 'Held: documents'), (4, 'Held: X-ray');
CREATE TABLE shifts (id int PRIMARY KEY, shift text NOT NULL UNIQUE);
INSERT INTO shifts VALUES (1, 'Early'), (2, 'Late'), (3, 'Night'), (4, 'Stand-by');
CREATE TABLE vessels (
    id int PRIMARY KEY,
    title text NOT NULL,
    type_id int NOT NULL REFERENCES vessel_types,
    flag_id int NOT NULL REFERENCES flags,
    hull_id int NOT NULL REFERENCES hull_materials,
    built int NOT NULL,
    gross_tonnage int NOT NULL
);
INSERT INTO vessels
SELECT n, 'Vessel ' || n, 1 + n * 7 % 9, 1 + n * 3 % 5, 1 + n % 5, 1970 + n % 50, 500 + n * 37 % 90000
FROM generate_series(1, 400) AS n;
CREATE TABLE berths (
    id int PRIMARY KEY,
    class_id int NOT NULL REFERENCES berth_classes,
    depth_m numeric NOT NULL,
    lighting text NOT NULL
);
INSERT INTO berths
SELECT n, 1 + n % 5, 4 + n % 12, (ARRAY['None installed', 'Sodium', 'LED'])[1 + n % 3]
FROM generate_series(1, 40) AS n;
CREATE TABLE pilots (
    id int PRIMARY KEY,
    grade_id int NOT NULL REFERENCES pilot_grades,
    shift_id int NOT NULL REFERENCES shifts,
    licensed_on date NOT NULL
);
INSERT INTO pilots
SELECT n, 1 + n % 4, 1 + n * 3 % 4, date '2001-03-01' + n * 97
FROM generate_series(1, 30) AS n;
CREATE TABLE port_calls (
    id int PRIMARY KEY,
    vessel_id int NOT NULL REFERENCES vessels,
    berth_id int NOT NULL REFERENCES berths,
    pilot_id int REFERENCES pilots,
    weather_id int NOT NULL REFERENCES weather_states,
    tide_id int NOT NULL REFERENCES tide_states,
    arrived_on date NOT NULL,
    nights int NOT NULL,
    purpose text NOT NULL
);
INSERT INTO port_calls
SELECT n, 1 + n * 11 % 400, 1 + n * 7 % 40, CASE WHEN n % 6 > 0 THEN 1 + n % 30 END, 1 + n * 13 % 5, 1 + n * 17 % 5, date '2024-01-01' + n % 730, 1 + n % 9, (ARRAY['load', 'discharge', 'bunkers only', 'lay up'])[1 + n % 4]
FROM generate_series(1, 1500) AS n;
CREATE TABLE cargo_lots (
    id int PRIMARY KEY,
    call_id int NOT NULL REFERENCES port_calls,
    kind_id int NOT NULL REFERENCES cargo_kinds,
    packing_id int NOT NULL REFERENCES packings,
    hazard_id int NOT NULL REFERENCES hazard_classes,
    customs_id int NOT NULL REFERENCES customs_statuses,
    tonnes numeric NOT NULL
);
INSERT INTO cargo_lots
SELECT n, 1 + n * 19 % 1500, 1 + n % 6, 1 + n * 3 % 5, 1 + n * 7 % 5, 1 + n * 5 % 4, 1 + n * 31 % 900
FROM generate_series(1, 3000) AS n;
CREATE TABLE inspections (
    id int PRIMARY KEY,
    call_id int NOT NULL REFERENCES port_calls,
    body_id int NOT NULL REFERENCES inspection_bodies,
    outcome_id int NOT NULL REFERENCES inspection_outcomes,
    deficiencies int NOT NULL
);
INSERT INTO inspections
SELECT n, 1 + n * 23 % 1500, 1 + n % 4, 1 + n * 3 % 4, n * 5 % 11
FROM generate_series(1, 600) AS n;
CREATE TABLE incidents (
    id int PRIMARY KEY,
    call_id int NOT NULL REFERENCES port_calls,
    kind_id int NOT NULL REFERENCES incident_kinds,
    severity_id int NOT NULL REFERENCES severities
);
INSERT INTO incidents
SELECT n, 1 + n * 29 % 1500, 1 + n % 5, 1 + n * 3 % 4
FROM generate_series(1, 300) AS n;
CREATE TABLE fees (
    id int PRIMARY KEY,
    call_id int NOT NULL REFERENCES port_calls,
    reason_id int NOT NULL REFERENCES fee_reasons,
    currency_id int NOT NULL REFERENCES currencies,
    amount numeric NOT NULL,
    paid_how text
);
INSERT INTO fees
SELECT n, 1 + n * 31 % 1500, 1 + n % 5, 1 + n * 2 % 3, 10 + n * 41 % 5000, CASE WHEN n % 7 > 0 THEN (ARRAY['wire', 'agent''s account', 'waived'])[1 + n % 3] END
FROM generate_series(1, 4000) AS n;
CREATE TABLE harbour_marks (
    id int PRIMARY KEY,
    title text NOT NULL,
    light text NOT NULL
);
INSERT INTO harbour_marks
SELECT n, 'Mark ' || to_char(n, 'FM0000'), (ARRAY['unlit', 'Q(9) 15s', 'Fl R 4s'])[1 + n % 3]
FROM generate_series(1, 5000) AS n;
CREATE INDEX ON harbour_marks (title);
