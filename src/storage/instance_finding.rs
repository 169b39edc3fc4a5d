//! Instances as they are looked for. A question of which some part is rare is answered from the rows of that part,
//! exactly; any other by walking an index in the order asked for, so far as one page may. Nothing here counts or
//! sorts a whole table.

use sqlx::Row as _;

use super::instance_order::InstancePlace;
use super::instance_question::{InstanceQuestion, Meaning, Part, Rows};
use super::instances::{self, COLUMNS};
use super::statement::Asked;
use super::word_lists::{self, MOST_LISTS};
use super::{Storage, StorageError};
use crate::elements::Instance;

const BOUNDS: Bounds = Bounds { few: 500, looked_through: 5_000 };

/// How far one page may go.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// A part of a question that so many rows fit at most is rare.
    pub(super) few: usize,
    /// So many rows, more than a page has, are looked through where nothing is rare; then the page says so.
    pub(super) looked_through: usize,
}

/// How many there are in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// So many.
    Exactly(usize),
    /// Nobody counted on.
    MoreThan(usize),
    /// Nobody counted.
    Unknown,
}

/// Some instances, and where the next ones start.
#[derive(Debug)]
pub struct Found {
    /// In the order asked for.
    pub items: Vec<Instance>,
    /// The next page starts after it, if there may be one.
    pub next: Option<InstancePlace>,
    /// How many the question means.
    pub total: Total,
    /// So many were looked through, and there are more: the bound of one page was reached.
    pub stopped_after: Option<usize>,
}

/// One page of what a question means.
struct Page<'a> {
    meaning: &'a Meaning<'a>,
    after: Option<&'a InstancePlace>,
    limit: usize,
    bounds: Bounds,
}

impl Storage {
    /// The instances that `question` means, in its order, at most `limit` of them, from `after` on.
    pub async fn find_instances(
        &self,
        question: &InstanceQuestion,
        after: Option<&InstancePlace>,
        limit: usize,
    ) -> Result<Found, StorageError> {
        self.find_instances_within(question, after, limit, BOUNDS).await
    }

    pub(super) async fn find_instances_within(
        &self,
        question: &InstanceQuestion,
        after: Option<&InstancePlace>,
        limit: usize,
        bounds: Bounds,
    ) -> Result<Found, StorageError> {
        let mut meaning = Meaning::of(question);
        if meaning.nothing() {
            return Ok(Found::none(Total::Exactly(0)));
        }
        if meaning.anything() {
            let total = self.counted(&Part::Everything, bounds.few).await?;
            return self.walk_all(&Page { meaning: &meaning, after, limit, bounds }, total).await;
        }
        let rare = self.rarest(&mut meaning, bounds.few).await?;
        let page = Page { meaning: &meaning, after, limit, bounds };
        match rare {
            Some(part) => self.pick(&page, &part).await,
            None if meaning.only_state() && meaning.order().is_of_ids_in_one_state() => {
                self.walk_all(&page, Total::MoreThan(bounds.few)).await
            }
            None => match self.not_many(&page).await? {
                Some(rows) => self.sort(&page, rows).await,
                None => self.walk(&page).await,
            },
        }
    }

    /// The part that the fewest rows fit, if it is rare; on the way it is learnt which words have lists.
    async fn rarest(&self, meaning: &mut Meaning<'_>, few: usize) -> Result<Option<Part>, StorageError> {
        let mut counts = Vec::new();
        for word in &mut meaning.words {
            let rows = word_lists::words_of(&word.part, few).rows(&self.readers).await?;
            let count: i64 = rows.first().map_or(Ok(0), |row| row.try_get(1))?;
            let count = usize::try_from(count).unwrap_or_default();
            // Rare enough: the other words are not asked about.
            if count <= few / 10 {
                return Ok(Some(word.part.clone()));
            }
            let words =
                rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<Vec<Option<String>>>>()?;
            let words: Vec<String> = words.into_iter().flatten().collect();
            word.listed = Some(words).filter(|words| (1..=MOST_LISTS).contains(&words.len()));
            counts.push((count, word.part.clone()));
        }
        for part in meaning.other_parts() {
            if let Total::Exactly(count) = self.counted(&part, few).await? {
                counts.push((count, part));
            }
        }
        let rare = counts.into_iter().filter(|(count, _)| *count <= few).min_by_key(|(count, _)| *count);
        Ok(rare.map(|(_, part)| part))
    }

    async fn counted(&self, part: &Part, few: usize) -> Result<Total, StorageError> {
        let sql = format!("SELECT count(*) FROM ({} LIMIT {}) AS few", part.ids(), few + 1);
        let count = self.number(Asked { sql, values: part.bounds().into() }).await?;
        Ok(if count > few { Total::MoreThan(few) } else { Total::Exactly(count) })
    }

    async fn number(&self, asked: Asked) -> Result<usize, StorageError> {
        let row = asked.rows(&self.readers).await?.pop();
        let count: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    async fn read_instances(&self, asked: Asked) -> Result<Vec<Instance>, StorageError> {
        asked.rows(&self.readers).await?.iter().map(instances::read).collect()
    }

    /// Those with the ids, as `end` says.
    async fn instances_of(&self, ids: Asked, end: &str) -> Result<Vec<Instance>, StorageError> {
        let sql = format!("SELECT {COLUMNS} FROM instances WHERE id IN ({}) {end}", ids.sql);
        self.read_instances(Asked { sql, ..ids }).await
    }

    /// Out of the rows of a rare part.
    async fn pick(&self, page: &Page<'_>, part: &Part) -> Result<Found, StorageError> {
        let (order, limit) = (page.meaning.order(), page.limit);
        let mut meant = page.meaning.among(page.meaning.rows_of(part));
        let counted = format!("SELECT count(*) FROM ({}) AS meant", meant.sql);
        let counted = Asked { sql: counted, ..meant.clone() };
        let after = page.after.map(|after| format!("AND {}", order.is_after(after, &mut meant)));
        let end = format!("{} {} LIMIT {}", after.unwrap_or_default(), order.in_order(), limit + 1);
        let mut found = Found::none(Total::Unknown);
        found.items = self.instances_of(meant, &end).await?;
        let all = !found.cut(page) && page.after.is_none();
        found.total = Total::Exactly(if all { found.items.len() } else { self.number(counted).await? });
        Ok(found)
    }

    /// All of an index, or of one state in it: nothing is looked at in vain.
    async fn walk_all(&self, page: &Page<'_>, total: Total) -> Result<Found, StorageError> {
        let mut found = Found::none(total);
        for mut stretch in page.meaning.order().stretches(COLUMNS, page.meaning.state(), page.after) {
            stretch.end(&format!("LIMIT {}", page.limit + 1 - found.items.len()));
            found.items.extend(self.read_instances(stretch).await?);
            if found.cut(page) {
                break;
            }
        }
        Ok(found)
    }

    /// Along an index or a list, so far as one page may.
    async fn walk(&self, page: &Page<'_>) -> Result<Found, StorageError> {
        let (order, most) = (page.meaning.order(), page.bounds.looked_through);
        let more = Total::MoreThan(page.bounds.few);
        let mut found = Found::none(if page.meaning.only_state() { more } else { Total::Unknown });
        for stretch in Self::stretches(page) {
            let mut rows = stretch.clone();
            rows.asked.end(&format!("LIMIT {most}"));
            let mut ids = page.meaning.among(rows);
            ids.end(&format!("LIMIT {}", page.limit + 1 - found.items.len()));
            found.items.extend(self.instances_of(ids, &order.in_order()).await?);
            if found.cut(page) {
                return Ok(found);
            }
            if let Some(last) = self.nth(most, stretch.asked).await? {
                found.next = Some(order.place(&last));
                found.stopped_after = Some(most);
                return Ok(found);
            }
        }
        Ok(found)
    }

    /// Out of rows that are not in order, as many as one page looks through.
    async fn sort(&self, page: &Page<'_>, rows: Rows) -> Result<Found, StorageError> {
        let mut ids = page.meaning.among(rows);
        word_lists::in_order(&mut ids, page.meaning.is_ranked(), page.after);
        ids.end(&format!("LIMIT {}", page.limit + 1));
        let mut found = Found::none(Total::Unknown);
        found.items = self.instances_of(ids, &page.meaning.order().in_order()).await?;
        found.cut(page);
        Ok(found)
    }

    /// All of a part that has not many, where no list of words is in the order asked for.
    async fn not_many(&self, page: &Page<'_>) -> Result<Option<Rows>, StorageError> {
        let meaning = page.meaning;
        let words = meaning.words.iter().filter(|_| meaning.lists().is_none()).map(|word| word.part.clone());
        for part in
            meaning.unheard().into_iter().chain(words).filter(|_| meaning.order().is_of_ids_in_one_state())
        {
            if let Total::Exactly(_) = self.counted(&part, page.bounds.looked_through).await? {
                return Ok(Some(meaning.rows_of(&part)));
            }
        }
        Ok(None)
    }

    /// Of the lists of a word, or of an index.
    fn stretches(page: &Page<'_>) -> Vec<Rows> {
        let (meaning, after) = (page.meaning, page.after);
        let (asked, known) = match meaning.lists() {
            Some((part, words)) => (word_lists::stretches(words, meaning.state(), after), Some(part)),
            None => (meaning.order().stretches("id, marks", meaning.state(), after), None),
        };
        asked.into_iter().map(|asked| Rows { asked, known: known.cloned() }).collect()
    }

    /// Where looking through a stretch stopped, if it has so many.
    async fn nth(&self, number: usize, stretch: Asked) -> Result<Option<Instance>, StorageError> {
        let sql = format!("SELECT id FROM ({} LIMIT 1 OFFSET {}) AS looked", stretch.sql, number - 1);
        Ok(self.instances_of(Asked { sql, ..stretch }, "").await?.pop())
    }
}

impl Found {
    fn none(total: Total) -> Self {
        Self { items: Vec::new(), next: None, total, stopped_after: None }
    }

    /// Leaves as many as a page has, and answers whether there are more.
    fn cut(&mut self, page: &Page<'_>) -> bool {
        let more = self.items.len() > page.limit;
        self.items.truncate(page.limit);
        self.next = self.items.last().filter(|_| more).map(|last| page.meaning.order().place(last));
        more
    }
}
