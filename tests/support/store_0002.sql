BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE budgets (
	project VARCHAR NOT NULL, 
	seconds FLOAT DEFAULT '0' NOT NULL, 
	running INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (project)
);
CREATE TABLE bugs (
	id INTEGER NOT NULL, 
	project VARCHAR NOT NULL, 
	crash_key VARCHAR NOT NULL, 
	job_id INTEGER NOT NULL, 
	first_seen FLOAT NOT NULL, 
	last_seen FLOAT NOT NULL, 
	seen INTEGER DEFAULT '1' NOT NULL, 
	head VARCHAR DEFAULT '' NOT NULL, 
	looked FLOAT DEFAULT '0' NOT NULL, 
	fix_job INTEGER, 
	PRIMARY KEY (id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	job_id INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	time FLOAT NOT NULL, 
	kind VARCHAR NOT NULL, 
	data JSON NOT NULL, uid VARCHAR, 
	PRIMARY KEY (id), 
	UNIQUE (job_id, seq), 
	FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "events" VALUES(1,1,0,1.7952958435196285248e+09,'started','{"start": "a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "head": "", "kind": "cause", "bad": "a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "good": ["977ab79ee3eaaeed4f6faf8ef45a70e1091ce0b1"]}','a835294a5dc64d628a1821f3c619a61c');
INSERT INTO "events" VALUES(2,1,1,1.79529584366391062734e+09,'test','{"commit": "0349ff766be9fe6413ead3e4ab78c10a4b495e65", "phase": "search", "title": "change 3", "project": true, "bounds": ["a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "977ab79ee3eaaeed4f6faf8ef45a70e1091ce0b1"], "effects": [], "left90": 7, "best": "20c53768da8796e81f079991d66c607139ba59c6", "best_probability": 0.1428, "older": 0.0001, "rate": [0.798, 0.1, 1.0], "open_bits": 2.8072, "left_seconds": 0.0, "left": 7}','b165d7f9d48349f4bb83be268b6decd9');
INSERT INTO "events" VALUES(3,1,2,1.7952958439241611957e+09,'build','{"commit": "0349ff766be9fe6413ead3e4ab78c10a4b495e65", "key": "b470585f014d4b0353ba393d7df2ee86c0b07272", "signature": "b470585f014d4b0353ba393d7df2ee86c0b07272", "compiler": "", "fixes": [], "seconds": 0.0, "error": "", "cached": false}','ce3eae5428d84919b0fed36273394535');
INSERT INTO "events" VALUES(4,1,3,1.79529584423246240613e+09,'run','{"commit": "0349ff766be9fe6413ead3e4ab78c10a4b495e65", "wall": 0.204, "boot_seconds": 0.0, "run_seconds": 0.034, "ended": "finished", "outcome": "ok", "title": "", "same": 0.0, "why": ""}','8b4ebd203023431bbaea43f73ba67918');
INSERT INTO "events" VALUES(5,1,4,1.7952958442594659328e+09,'mark','{"commit": "0349ff766be9fe6413ead3e4ab78c10a4b495e65", "verdict": "good", "p_bug": 0.1317, "left90": 5, "best": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "best_probability": 0.2171, "older": 0.0, "rate": [0.738, 0.1, 1.0], "open_bits": 2.5072, "sketch": {"commits": 8, "first": 1, "oldest": "20c53768da8796e81f079991d66c607139ba59c6", "newest": "a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "at": 3, "older": 3.1e-05, "shades": "tttzzzz", "tags": []}}','21caffdcdfd14aac8b24084fd31e750f');
INSERT INTO "events" VALUES(6,1,5,1.79529584458668589586e+09,'test','{"commit": "82fde108ff871af456f9b67fb787597d922b919b", "phase": "search", "title": "change 5", "project": true, "bounds": ["a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "977ab79ee3eaaeed4f6faf8ef45a70e1091ce0b1"], "effects": [], "left90": 5, "best": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "best_probability": 0.2171, "older": 0.0, "rate": [0.738, 0.1, 1.0], "open_bits": 2.5072, "left_seconds": 0.1, "left": 4}','124b0a440db34b3185a76386a870425f');
INSERT INTO "events" VALUES(7,1,6,1.7952958446970636845e+09,'build','{"commit": "82fde108ff871af456f9b67fb787597d922b919b", "key": "94dec0242b49fb7f6d80e924960c994d3d9590e2", "signature": "94dec0242b49fb7f6d80e924960c994d3d9590e2", "compiler": "", "fixes": [], "seconds": 0.0, "error": "", "cached": false}','a37b4d51a9df4467bd5701055a04316d');
INSERT INTO "events" VALUES(8,1,7,1.7952958449467403889e+09,'run','{"commit": "82fde108ff871af456f9b67fb787597d922b919b", "wall": 0.231, "boot_seconds": 0.0, "run_seconds": 0.04, "ended": "finished", "outcome": "crash", "title": "exit status 1", "same": 1.0, "why": "any failure counts", "text": ""}','682336db499241e69ddb1f6526dcae81');
INSERT INTO "events" VALUES(9,1,8,1.79529584495439410206e+09,'mark','{"commit": "82fde108ff871af456f9b67fb787597d922b919b", "verdict": "bad", "p_bug": 0.9978, "left90": 3, "best": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "best_probability": 0.4415, "older": 0.0, "rate": [0.867, 0.3, 1.0], "open_bits": 1.6035, "sketch": {"commits": 8, "first": 1, "oldest": "20c53768da8796e81f079991d66c607139ba59c6", "newest": "a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "at": 5, "older": 2.7e-05, "shades": "pppzzcc", "tags": []}}','79ba4963f2844ea3a1ddedf35d2b784b');
INSERT INTO "events" VALUES(10,1,9,1.79529584501088523861e+09,'test','{"commit": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "phase": "search", "title": "change 4", "project": true, "bounds": ["a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "977ab79ee3eaaeed4f6faf8ef45a70e1091ce0b1"], "effects": [], "left90": 3, "best": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "best_probability": 0.4415, "older": 0.0, "rate": [0.867, 0.3, 1.0], "open_bits": 1.6035, "left_seconds": 0.1, "left": 2}','05b4645e5db14098867e7be8a9489837');
INSERT INTO "events" VALUES(11,1,10,1.7952958450299561023e+09,'build','{"commit": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "key": "859a88b4f79e78181f945684a7cf58fb146b38af", "signature": "859a88b4f79e78181f945684a7cf58fb146b38af", "compiler": "", "fixes": [], "seconds": 0.0, "error": "", "cached": false}','a6e844c6ade2446b89513f49d7b8bff6');
INSERT INTO "events" VALUES(12,1,11,1.795295845217057705e+09,'run','{"commit": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "wall": 0.182, "boot_seconds": 0.0, "run_seconds": 0.042, "ended": "finished", "outcome": "ok", "title": "", "same": 0.0, "why": ""}','bed56b2128394eeb9b26388936443b45');
INSERT INTO "events" VALUES(13,1,12,1.7952958452355451584e+09,'mark','{"commit": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "verdict": "good", "p_bug": 0.1756, "left90": 3, "best": "82fde108ff871af456f9b67fb787597d922b919b", "best_probability": 0.8203, "older": 0.0, "rate": [0.831, 0.2, 1.0], "open_bits": 1.0482, "sketch": {"commits": 8, "first": 1, "oldest": "20c53768da8796e81f079991d66c607139ba59c6", "newest": "a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "at": 4, "older": 2.4e-05, "shades": "nnnpzcc", "tags": []}}','6d1d063069c2462ea20d95ca68353914');
INSERT INTO "events" VALUES(14,1,13,1.79529584529687285428e+09,'test','{"commit": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "phase": "confirm", "title": "change 4", "project": true, "bounds": ["a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "977ab79ee3eaaeed4f6faf8ef45a70e1091ce0b1"], "effects": [], "left90": 3, "best": "82fde108ff871af456f9b67fb787597d922b919b", "best_probability": 0.8203, "older": 0.0, "rate": [0.831, 0.2, 1.0], "open_bits": 1.0482}','46e8a52f32de4f2b871630f666cec7f1');
INSERT INTO "events" VALUES(15,1,14,1.79529584554161858551e+09,'run','{"commit": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "wall": 0.227, "boot_seconds": 0.0, "run_seconds": 0.036, "ended": "finished", "outcome": "ok", "title": "", "same": 0.0, "why": ""}','1f7311a96996442b9fe357646c0a5b9c');
INSERT INTO "events" VALUES(16,1,15,1.79529584556604719161e+09,'mark','{"commit": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "verdict": "good", "p_bug": 0.1077, "left90": 2, "best": "82fde108ff871af456f9b67fb787597d922b919b", "best_probability": 0.8879, "older": 0.0, "rate": [0.853, 0.2, 1.0], "open_bits": 0.7485, "sketch": {"commits": 8, "first": 1, "oldest": "20c53768da8796e81f079991d66c607139ba59c6", "newest": "a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "at": 4, "older": 1.6e-05, "shades": "lllnzcc", "tags": []}}','31fc73ca83854d7a89495006fa119e57');
INSERT INTO "events" VALUES(17,1,16,1.79529584562360906602e+09,'test','{"commit": "82fde108ff871af456f9b67fb787597d922b919b", "phase": "confirm", "title": "change 5", "project": true, "bounds": ["a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "977ab79ee3eaaeed4f6faf8ef45a70e1091ce0b1"], "effects": [], "left90": 2, "best": "82fde108ff871af456f9b67fb787597d922b919b", "best_probability": 0.8879, "older": 0.0, "rate": [0.853, 0.2, 1.0], "open_bits": 0.7485}','e021a9051c4949ceb261f1f2b8985ea9');
INSERT INTO "events" VALUES(18,1,17,1.79529584580815100664e+09,'run','{"commit": "82fde108ff871af456f9b67fb787597d922b919b", "wall": 0.153, "boot_seconds": 0.0, "run_seconds": 0.027, "ended": "finished", "outcome": "crash", "title": "exit status 1", "same": 1.0, "why": "any failure counts", "text": ""}','2c2d6745c97042688d30eeff01b0379a');
INSERT INTO "events" VALUES(19,1,18,1.79529584581518840795e+09,'mark','{"commit": "82fde108ff871af456f9b67fb787597d922b919b", "verdict": "bad", "p_bug": 1.0, "left90": 1, "best": "82fde108ff871af456f9b67fb787597d922b919b", "best_probability": 0.9534, "older": 0.0, "rate": [0.928, 0.5, 1.0], "open_bits": 0.3613, "sketch": {"commits": 8, "first": 1, "oldest": "20c53768da8796e81f079991d66c607139ba59c6", "newest": "a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "at": 5, "older": 6e-06, "shades": "hhhkzEE", "tags": []}}','8d5cd90b4abe4d2b89fdada22af6d5df');
INSERT INTO "events" VALUES(20,1,19,1.79529584589128875737e+09,'test','{"commit": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "phase": "confirm", "title": "change 4", "project": true, "bounds": ["a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "977ab79ee3eaaeed4f6faf8ef45a70e1091ce0b1"], "effects": [], "left90": 1, "best": "82fde108ff871af456f9b67fb787597d922b919b", "best_probability": 0.9534, "older": 0.0, "rate": [0.928, 0.5, 1.0], "open_bits": 0.3613}','3e1190bd032e4809bff412e16785cdf5');
INSERT INTO "events" VALUES(21,1,20,1.795295846136931181e+09,'run','{"commit": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "wall": 0.218, "boot_seconds": 0.0, "run_seconds": 0.031, "ended": "finished", "outcome": "ok", "title": "", "same": 0.0, "why": ""}','2abeebfcf166493fbb7b8df55c79fa3d');
INSERT INTO "events" VALUES(22,1,21,1.79529584615945410732e+09,'mark','{"commit": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "verdict": "good", "p_bug": 0.0268, "left90": 1, "best": "82fde108ff871af456f9b67fb787597d922b919b", "best_probability": 0.9732, "older": 0.0, "rate": [0.936, 0.5, 1.0], "open_bits": 0.2303, "sketch": {"commits": 8, "first": 1, "oldest": "20c53768da8796e81f079991d66c607139ba59c6", "newest": "a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "at": 4, "older": 4e-06, "shades": "fffhzEE", "tags": []}}','2b5a851735974ebcb33fba6a1b89e2f6');
INSERT INTO "events" VALUES(23,1,22,1.79529584622301244733e+09,'test','{"commit": "82fde108ff871af456f9b67fb787597d922b919b", "phase": "confirm", "title": "change 5", "project": true, "bounds": ["a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "977ab79ee3eaaeed4f6faf8ef45a70e1091ce0b1"], "effects": [], "left90": 1, "best": "82fde108ff871af456f9b67fb787597d922b919b", "best_probability": 0.9732, "older": 0.0, "rate": [0.936, 0.5, 1.0], "open_bits": 0.2303}','ddc5e4792d0a4514aadf1d8c7db62237');
INSERT INTO "events" VALUES(24,1,23,1.79529584645047879214e+09,'run','{"commit": "82fde108ff871af456f9b67fb787597d922b919b", "wall": 0.201, "boot_seconds": 0.0, "run_seconds": 0.039, "ended": "finished", "outcome": "crash", "title": "exit status 1", "same": 1.0, "why": "any failure counts", "text": ""}','4fa2f236e30b42f29c2b8e54a4fa616e');
INSERT INTO "events" VALUES(25,1,24,1.79529584646345901494e+09,'mark','{"commit": "82fde108ff871af456f9b67fb787597d922b919b", "verdict": "bad", "p_bug": 1.0, "left90": 1, "best": "82fde108ff871af456f9b67fb787597d922b919b", "best_probability": 0.9879, "older": 0.0, "rate": [0.961, 0.7, 1.0], "open_bits": 0.118, "sketch": {"commits": 8, "first": 1, "oldest": "20c53768da8796e81f079991d66c607139ba59c6", "newest": "a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "at": 5, "older": 2e-06, "shades": "bbbez00", "tags": []}}','54f6433c7b014a8e80b1d6ce4ae86214');
INSERT INTO "events" VALUES(26,1,25,1.7952958465131092071e+09,'test','{"commit": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "phase": "confirm", "title": "change 4", "project": true, "bounds": ["a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "977ab79ee3eaaeed4f6faf8ef45a70e1091ce0b1"], "effects": [], "left90": 1, "best": "82fde108ff871af456f9b67fb787597d922b919b", "best_probability": 0.9879, "older": 0.0, "rate": [0.961, 0.7, 1.0], "open_bits": 0.118}','920d4fa872c94da280977520048ac78a');
INSERT INTO "events" VALUES(27,1,26,1.79529584669302940368e+09,'run','{"commit": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "wall": 0.165, "boot_seconds": 0.0, "run_seconds": 0.022, "ended": "finished", "outcome": "ok", "title": "", "same": 0.0, "why": ""}','e668fff0be0f43199cd0d08608380274');
INSERT INTO "events" VALUES(28,1,27,1.79529584670352554322e+09,'mark','{"commit": "0ec6ac9e6f5547661cf242a73a98a4eea9a2d864", "verdict": "good", "p_bug": 0.0069, "left90": 1, "best": "82fde108ff871af456f9b67fb787597d922b919b", "best_probability": 0.9931, "older": 0.0, "rate": [0.964, 0.7, 1.0], "open_bits": 0.0733, "sketch": {"commits": 8, "first": 1, "oldest": "20c53768da8796e81f079991d66c607139ba59c6", "newest": "a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "at": 4, "older": 1e-06, "shades": "ZZZcz00", "tags": []}}','d10a601550d34ce188817f5ddfd80e30');
INSERT INTO "events" VALUES(29,1,28,1.7952958468329563141e+09,'finished','{"status": "found", "commits": ["82fde108ff871af456f9b67fb787597d922b919b"], "probabilities": [0.993052], "confidence": 0.993052, "boundary": "", "why": "", "opinions": 0, "titles": {"82fde108ff871af456f9b67fb787597d922b919b": "change 5"}, "title": "change 5", "show": "commit 82fde108ff871af456f9b67fb787597d922b919b\nAuthor: A <a@example.org>\nDate:   Tue Nov 14 22:13:25 2023 +0000\n\n    change 5\n\n n | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)", "parents": ["0ec6ac9e6f5547661cf242a73a98a4eea9a2d864"], "details": {"author": "A <a@example.org>", "date": "2023-11-14T22:13:25+00:00", "message": "change 5", "patch": "diff --git a/n b/n\nindex b8626c4..7ed6ff8 100644\n--- a/n\n+++ b/n\n@@ -1 +1 @@\n-4\n+5", "cut": false, "files": ["n"], "is_release": false}, "is_merge": false, "noop": false, "to": [], "cc": []}','a26fd237a88b469c869651208e7a4d41');
INSERT INTO "events" VALUES(30,1,29,1.79529584685948061942e+09,'told','{}','e4b3ba2ea2204c2a9a041c07221c9d6f');
INSERT INTO "events" VALUES(31,2,0,1.79529585812868118285e+09,'started','{"start": "a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "head": "", "kind": "cause", "bad": "a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "good": ["977ab79ee3eaaeed4f6faf8ef45a70e1091ce0b1"]}','9a95da0a34064ca3acda6a0e6f878ca8');
INSERT INTO "events" VALUES(32,2,1,1.79529585825294089318e+09,'test','{"commit": "0349ff766be9fe6413ead3e4ab78c10a4b495e65", "phase": "search", "title": "change 3", "project": true, "bounds": ["a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "977ab79ee3eaaeed4f6faf8ef45a70e1091ce0b1"], "effects": [], "left90": 7, "best": "20c53768da8796e81f079991d66c607139ba59c6", "best_probability": 0.1428, "older": 0.0001, "rate": [0.798, 0.1, 1.0], "open_bits": 2.8072, "left_seconds": 0.0, "left": 7}','52a56da7b7684e339b362067a13ad7c0');
INSERT INTO "events" VALUES(33,2,2,1.79529585827178144452e+09,'build','{"commit": "0349ff766be9fe6413ead3e4ab78c10a4b495e65", "key": "b470585f014d4b0353ba393d7df2ee86c0b07272", "signature": "b470585f014d4b0353ba393d7df2ee86c0b07272", "compiler": "", "fixes": [], "seconds": 0.0, "error": "", "cached": true}','0738049434064f889f7f9e39c5305c96');
INSERT INTO "events" VALUES(34,2,3,1.79529585854947686196e+09,'failed','{"error": "the test exit status 200, which ends a search as in `git bisect run`; if that is the bug, say --crash-is-bad", "status": "infra_failure"}','d4f14511e3f84c2494b01ed770d723eb');
CREATE TABLE jobs (
	id INTEGER NOT NULL, 
	created FLOAT NOT NULL, 
	job JSON NOT NULL, 
	cancelled INTEGER DEFAULT '0' NOT NULL, private INTEGER DEFAULT '0' NOT NULL, queued INTEGER DEFAULT '0' NOT NULL, priority INTEGER DEFAULT '0' NOT NULL, attempts INTEGER DEFAULT '0' NOT NULL, paused INTEGER DEFAULT '0' NOT NULL, builds INTEGER DEFAULT '0' NOT NULL, runs INTEGER DEFAULT '0' NOT NULL, opinions INTEGER DEFAULT '0' NOT NULL, not_before FLOAT DEFAULT '0' NOT NULL, worked FLOAT DEFAULT '0' NOT NULL, most_seconds FLOAT DEFAULT '0' NOT NULL, leased_until FLOAT DEFAULT '0' NOT NULL, confidence FLOAT DEFAULT '0' NOT NULL, started FLOAT DEFAULT '0' NOT NULL, finished FLOAT DEFAULT '0' NOT NULL, cost FLOAT DEFAULT '0' NOT NULL, submitted_by VARCHAR DEFAULT '' NOT NULL, crash_key VARCHAR DEFAULT '' NOT NULL, owner VARCHAR DEFAULT '' NOT NULL, token VARCHAR DEFAULT '' NOT NULL, kind VARCHAR DEFAULT '' NOT NULL, name VARCHAR DEFAULT '' NOT NULL, title VARCHAR DEFAULT '' NOT NULL, status VARCHAR DEFAULT '' NOT NULL, culprit VARCHAR DEFAULT '' NOT NULL, culprit_title VARCHAR DEFAULT '' NOT NULL, project VARCHAR DEFAULT 'default' NOT NULL, "key" VARCHAR, state VARCHAR DEFAULT 'new' NOT NULL, seq INTEGER DEFAULT '-1' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES(1,1.79529584334779667852e+09,'{"kind": "cause", "name": "", "repo": "/home/me/repo", "config": "builtin:nothing", "baseline": null, "repro": "builtin:nothing", "commit": "a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "commit_title": "", "release_tags": [], "head": "", "title": "", "good": ["977ab79ee3eaaeed4f6faf8ef45a70e1091ce0b1"], "path": [], "target": 0.99, "prove": false, "priors": true, "reproducer": {"arch": "", "syzkaller": null, "syzkaller_commit": "", "busybox": null, "sandbox": null, "threaded": null, "collide": null, "procs": null, "repeat_times": null, "slowdown": null}, "private": true, "report": {"confidence": 0.99, "message_id": "", "references": [], "subject": "", "link": "", "reported_by": "", "to": [], "cc": [], "regzbot": true}, "reach": false, "bug": {"kind": "crash", "metric": "", "threshold": null, "worse": "above"}, "test": {"patch": "", "reference": 0, "measure": false, "rate": null, "runs": 500}, "project": {"command": ["sh", "-c", "test $(cat n) -lt 5"], "build": "", "jobs": 1, "runs_max": 0, "timeout": 3600.0, "timeout_is_bad": false, "build_timeout": 0.0, "match": "", "metric": "", "crash_is_bad": false, "confirm": true, "directory": ""}, "machine": {"cpus": 2, "memory_mb": 512, "boot_seconds": 60.0, "run_seconds": 30.0, "append": "", "backend": "qemu", "image": null, "ssh_key": null, "root": "", "snapshot": 0, "keep": false, "parallel": 0}, "build": {"config_base": "none", "toolchain": "", "toolchain_dirs": [], "arch": "x86_64", "jobs": 0, "builtin_fixes": true, "fixes": [], "sanitizers": "keep", "minimize_steps": 12, "minimize_hours": 3.0, "verify": "clean"}}',0,1,0,0,0,0,3,8,0,0.0,0.0,0.0,0.0,0.993052,1.7952958435196285248e+09,1.7952958468329563141e+09,1.58100000000000018296e+00,'','','','','cause','','exit status 1','found','82fde108ff871af456f9b67fb787597d922b919b','change 5','default','~5c2185dfb53849d7856810f80576c67c','finished',29);
INSERT INTO "jobs" VALUES(2,1.79529585795631456378e+09,'{"kind": "cause", "name": "", "repo": "/home/me/repo", "config": "builtin:nothing", "baseline": null, "repro": "builtin:nothing", "commit": "a2a7e1b2c5c7b3c4483280f32448ae84b9c9404f", "commit_title": "", "release_tags": [], "head": "", "title": "", "good": ["977ab79ee3eaaeed4f6faf8ef45a70e1091ce0b1"], "path": [], "target": 0.99, "prove": false, "priors": true, "reproducer": {"arch": "", "syzkaller": null, "syzkaller_commit": "", "busybox": null, "sandbox": null, "threaded": null, "collide": null, "procs": null, "repeat_times": null, "slowdown": null}, "private": true, "report": {"confidence": 0.99, "message_id": "", "references": [], "subject": "", "link": "", "reported_by": "", "to": [], "cc": [], "regzbot": true}, "reach": false, "bug": {"kind": "crash", "metric": "", "threshold": null, "worse": "above"}, "test": {"patch": "", "reference": 0, "measure": false, "rate": null, "runs": 500}, "project": {"command": ["sh", "-c", "exit 200"], "build": "", "jobs": 1, "runs_max": 0, "timeout": 3600.0, "timeout_is_bad": false, "build_timeout": 0.0, "match": "", "metric": "", "crash_is_bad": false, "confirm": true, "directory": ""}, "machine": {"cpus": 2, "memory_mb": 512, "boot_seconds": 60.0, "run_seconds": 30.0, "append": "", "backend": "qemu", "image": null, "ssh_key": null, "root": "", "snapshot": 0, "keep": false, "parallel": 0}, "build": {"config_base": "none", "toolchain": "", "toolchain_dirs": [], "arch": "x86_64", "jobs": 0, "builtin_fixes": true, "fixes": [], "sanitizers": "keep", "minimize_steps": 12, "minimize_hours": 3.0, "verify": "clean"}}',0,1,0,0,0,0,1,0,0,0.0,0.0,0.0,0.0,0.0,1.79529585812868118285e+09,1.79529585854947686196e+09,0.0,'','','','','cause','','','infra_failure','','','default','~f7bf7a4f56434b098db9d8b3f28ad95b','failed',3);
CREATE TABLE results (
	id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	job_id INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	data JSON NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE TABLE workers (
	owner VARCHAR NOT NULL, 
	host VARCHAR NOT NULL, 
	pid INTEGER NOT NULL, 
	started FLOAT NOT NULL, 
	seen FLOAT NOT NULL, 
	state VARCHAR NOT NULL, 
	job_id INTEGER, 
	data JSON NOT NULL, 
	PRIMARY KEY (owner)
);
CREATE UNIQUE INDEX jobs_key ON jobs (project, "key");
CREATE INDEX jobs_crash ON jobs (crash_key, project);
CREATE INDEX jobs_project ON jobs (project, id);
CREATE INDEX jobs_waiting ON jobs (priority, attempts, id) WHERE queued = 1 AND paused = 0 AND cancelled = 0 AND state IN ('new', 'interrupted', 'reopened');
CREATE INDEX jobs_leased ON jobs (project) WHERE token <> '';
CREATE INDEX events_mail ON events (id) WHERE kind = 'mail';
CREATE INDEX results_key ON results (kind, "key", id);
CREATE UNIQUE INDEX bugs_key ON bugs (project, crash_key);
COMMIT;
