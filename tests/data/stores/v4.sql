-- Written by the store of commit e650fb1, the last one of this version.
BEGIN TRANSACTION;
CREATE TABLE artifacts (
            job TEXT NOT NULL REFERENCES jobs (id),
            path TEXT NOT NULL,
            seq INTEGER NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (job, path)
        ) WITHOUT ROWID
        ;
INSERT INTO "artifacts" VALUES('000000000001','/data/map.tif',9,'{"path": "/data/map.tif", "kind": "map", "size": 1, "sha256": "0"}');
INSERT INTO "artifacts" VALUES('000000000004','/data/map.tif',9,'{"path": "/data/map.tif", "kind": "map", "size": 1, "sha256": "0"}');
INSERT INTO "artifacts" VALUES('000000000006','/data/map.tif',9,'{"path": "/data/map.tif", "kind": "map", "size": 1, "sha256": "0"}');
CREATE TABLE events (
            job TEXT NOT NULL REFERENCES jobs (id),
            seq INTEGER NOT NULL,
            kind TEXT NOT NULL,
            ts REAL NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (job, seq)
        ) WITHOUT ROWID
        ;
INSERT INTO "events" VALUES('000000000001',1,'state',1795489042.25,'{"state":"queued","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000001',2,'state',1795489042.5,'{"state":"starting","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000001',3,'state',1795489042.75,'{"state":"running","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000001',4,'progress',1795489043.0,'{"fraction": 0.5, "message": "Mapping", "eta_s": null}');
INSERT INTO "events" VALUES('000000000001',5,'metric',1795489043.25,'{"name": "loss", "value": 0.75, "step": 1}');
INSERT INTO "events" VALUES('000000000001',6,'metric',1795489043.5,'{"name": "loss", "value": null, "step": 2}');
INSERT INTO "events" VALUES('000000000001',7,'metric',1795489043.75,'{"name": "loss", "value": 0.5, "step": 2}');
INSERT INTO "events" VALUES('000000000001',8,'log',1795489044.0,'{"level": "info", "message": "Möglich"}');
INSERT INTO "events" VALUES('000000000001',9,'artifact',1795489044.25,'{"path": "/data/map.tif", "kind": "map", "size": 1, "sha256": "0"}');
INSERT INTO "events" VALUES('000000000001',10,'state',1795489044.5,'{"state":"succeeded","attempt":1,"error":null,"summary":{"out":"/data/map.tif"}}');
INSERT INTO "events" VALUES('000000000002',1,'state',1795489044.75,'{"state":"queued","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000002',2,'state',1795489045.0,'{"state":"starting","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000002',3,'state',1795489045.25,'{"state":"running","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000002',4,'state',1795489045.5,'{"state":"failed","attempt":1,"error":{"code":"x","message":"It failed.","action":"Mend it.","retryable":false,"detail":{}},"summary":null}');
INSERT INTO "events" VALUES('000000000003',1,'state',1795489045.75,'{"state":"queued","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000003',2,'state',1795489046.0,'{"state":"cancelled","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000004',1,'state',1795489046.25,'{"state":"queued","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000004',2,'state',1795489046.5,'{"state":"starting","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000004',3,'state',1795489046.75,'{"state":"running","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000004',4,'progress',1795489047.0,'{"fraction": 0.5, "message": "Mapping", "eta_s": null}');
INSERT INTO "events" VALUES('000000000004',5,'metric',1795489047.25,'{"name": "loss", "value": 0.75, "step": 1}');
INSERT INTO "events" VALUES('000000000004',6,'metric',1795489047.5,'{"name": "loss", "value": null, "step": 2}');
INSERT INTO "events" VALUES('000000000004',7,'metric',1795489047.75,'{"name": "loss", "value": 0.5, "step": 2}');
INSERT INTO "events" VALUES('000000000004',8,'log',1795489048.0,'{"level": "info", "message": "Möglich"}');
INSERT INTO "events" VALUES('000000000004',9,'artifact',1795489048.25,'{"path": "/data/map.tif", "kind": "map", "size": 1, "sha256": "0"}');
INSERT INTO "events" VALUES('000000000004',10,'state',1795489048.5,'{"state":"cancelling","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000005',1,'state',1795489048.75,'{"state":"queued","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000006',1,'state',1795489049.0,'{"state":"queued","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000006',2,'state',1795489049.25,'{"state":"starting","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000006',3,'state',1795489049.5,'{"state":"running","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000006',4,'progress',1795489049.75,'{"fraction": 0.5, "message": "Mapping", "eta_s": null}');
INSERT INTO "events" VALUES('000000000006',5,'metric',1795489050.0,'{"name": "loss", "value": 0.75, "step": 1}');
INSERT INTO "events" VALUES('000000000006',6,'metric',1795489050.25,'{"name": "loss", "value": null, "step": 2}');
INSERT INTO "events" VALUES('000000000006',7,'metric',1795489050.5,'{"name": "loss", "value": 0.5, "step": 2}');
INSERT INTO "events" VALUES('000000000006',8,'log',1795489050.75,'{"level": "info", "message": "Möglich"}');
INSERT INTO "events" VALUES('000000000006',9,'artifact',1795489051.0,'{"path": "/data/map.tif", "kind": "map", "size": 1, "sha256": "0"}');
INSERT INTO "events" VALUES('000000000006',10,'state',1795489051.25,'{"state":"interrupted","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000006',11,'state',1795489051.5,'{"state":"queued","attempt":2,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000007',1,'state',1795489051.75,'{"state":"queued","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000007',2,'state',1795489052.0,'{"state":"starting","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000007',3,'state',1795489052.25,'{"state":"running","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000007',4,'state',1795489052.5,'{"state":"pausing","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000007',5,'state',1795489052.75,'{"state":"paused","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000008',1,'state',1795489053.0,'{"state":"queued","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000009',1,'state',1795489053.25,'{"state":"queued","attempt":1,"error":null,"summary":null}');
INSERT INTO "events" VALUES('000000000010',1,'state',1795489053.5,'{"state":"queued","attempt":1,"error":null,"summary":null}');
CREATE TABLE jobs (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            key TEXT NOT NULL UNIQUE,
            task TEXT NOT NULL,
            spec TEXT NOT NULL,
            state TEXT NOT NULL,
            attempt INTEGER NOT NULL DEFAULT 0,
            created REAL NOT NULL,
            started REAL,
            ended REAL,
            fraction REAL NOT NULL DEFAULT 0,
            message TEXT NOT NULL DEFAULT '',
            error TEXT,
            summary TEXT,
            last_seq INTEGER NOT NULL DEFAULT 0
        , kept INTEGER NOT NULL DEFAULT 0, crashes INTEGER NOT NULL DEFAULT 0, makes_new INTEGER, priority INTEGER NOT NULL DEFAULT 0, place REAL, enough INTEGER NOT NULL DEFAULT 0, parent TEXT);
INSERT INTO "jobs" VALUES(1,'000000000001','done','predict','{"series":["/data/forest"],"model":"/data/clearings","out":"/data/map.tif"}','succeeded',1,1795489042.25,1795489042.5,1795489044.5,1.0,'Mapping',NULL,'{"out":"/data/map.tif"}',10,0,0,NULL,0,1.0,0,NULL);
INSERT INTO "jobs" VALUES(2,'000000000002','failed','predict','{"series":["/data/forest"],"model":"/data/clearings","out":"/data/map.tif"}','failed',1,1795489044.75,1795489045.0,1795489045.5,0.0,'','{"code":"x","message":"It failed.","action":"Mend it.","retryable":false,"detail":{}}',NULL,4,0,0,NULL,0,2.0,0,NULL);
INSERT INTO "jobs" VALUES(3,'000000000003','cancelled','predict','{"series":["/data/forest"],"model":"/data/clearings","out":"/data/map.tif"}','cancelled',1,1795489045.75,NULL,1795489046.0,0.0,'',NULL,NULL,2,0,0,NULL,0,3.0,0,NULL);
INSERT INTO "jobs" VALUES(4,'000000000004','cancelling','predict','{"series":["/data/forest"],"model":"/data/clearings","out":"/data/map.tif"}','cancelling',1,1795489046.25,1795489046.5,NULL,0.5,'Mapping',NULL,NULL,10,0,0,NULL,0,4.0,0,NULL);
INSERT INTO "jobs" VALUES(5,'000000000005','queued','predict','{"series":["/data/forest"],"model":"/data/clearings","out":"/data/map.tif"}','queued',1,1795489048.75,NULL,NULL,0.0,'',NULL,NULL,1,0,0,NULL,0,5.0,0,NULL);
INSERT INTO "jobs" VALUES(6,'000000000006','gone on','finetune','{"series":["/data/forest"],"labels":"/data/l.gpkg","class_field":"kind","out":"/data/model"}','queued',2,1795489049.0,1795489049.25,NULL,0.5,'Mapping',NULL,NULL,11,1,1,1,0,6.0,0,NULL);
INSERT INTO "jobs" VALUES(7,'000000000007','paused','finetune','{"series":["/data/forest"],"labels":"/data/l.gpkg","class_field":"kind","out":"/data/model"}','paused',1,1795489051.75,1795489052.0,NULL,0.0,'',NULL,NULL,5,0,0,NULL,0,7.0,1,NULL);
INSERT INTO "jobs" VALUES(8,'000000000008','again','predict','{"series":["/data/forest"],"model":"/data/clearings","out":"/data/map.tif"}','queued',1,1795489053.0,NULL,NULL,0.0,'',NULL,NULL,1,0,0,NULL,0,8.0,0,'000000000002');
INSERT INTO "jobs" VALUES(9,'000000000009','first','predict','{"series":["/data/forest"],"model":"/data/clearings","out":"/data/map.tif"}','queued',1,1795489053.25,NULL,NULL,0.0,'',NULL,NULL,1,0,0,NULL,2,9.0,0,NULL);
INSERT INTO "jobs" VALUES(10,'000000000010','before','predict','{"series":["/data/forest"],"model":"/data/clearings","out":"/data/map.tif"}','queued',1,1795489053.5,NULL,NULL,0.0,'',NULL,NULL,1,0,0,NULL,0,4.5,0,NULL);
CREATE TABLE metrics (
            job TEXT NOT NULL REFERENCES jobs (id),
            name TEXT NOT NULL,
            step INTEGER NOT NULL,
            value REAL,
            PRIMARY KEY (job, name, step)
        ) WITHOUT ROWID
        ;
INSERT INTO "metrics" VALUES('000000000001','loss',1,0.75);
INSERT INTO "metrics" VALUES('000000000001','loss',2,0.5);
INSERT INTO "metrics" VALUES('000000000004','loss',1,0.75);
INSERT INTO "metrics" VALUES('000000000004','loss',2,0.5);
INSERT INTO "metrics" VALUES('000000000006','loss',1,0.75);
INSERT INTO "metrics" VALUES('000000000006','loss',2,0.5);
CREATE INDEX jobs_by_state ON jobs (state, priority DESC, place);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',10);
COMMIT;
PRAGMA user_version = 4;
